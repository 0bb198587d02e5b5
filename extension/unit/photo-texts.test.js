// Photos inside texts: found wherever a text holds one, and replaced there.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import '../src/content/photo-texts.js';

const { photosInText, photosInBytes } = globalThis.clip2protect;
const BYTES = Uint8Array.from({ length: 900 }, (_, i) => (i * 7) % 256);
const BASE64 = Buffer.from(BYTES).toString('base64');
const URI = `data:image/jpeg;base64,${BASE64}`;
const RESULT = new File(['protected'], 'picture.jpg', { type: 'image/jpeg' });
const PROTECTED = `data:image/jpeg;base64,${Buffer.from('protected').toString('base64')}`;
const all = (photos, result) => new Map(photos.map((photo) => [photo, result]));
const bytesIn = async (photo) => new Uint8Array(await photo.arrayBuffer());

test('a photo is found however its address is written', async () => {
  const percent = [...BYTES].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  const lines = BASE64.replace(/.{76}/g, '$&\n  ');
  for (const address of [
    URI, URI.toUpperCase().replace(BASE64.toUpperCase(), BASE64), `data:image/png;charset=x;base64,${BASE64}`,
    `data:image/jpeg;base64,${lines}`, `data:image/jpeg;base64,${BASE64.replace(/.{76}/g, '$&&#10;')}`,
    `data:image/jpeg;base64,${encodeURIComponent(BASE64)}`, `data:image/jpeg,${percent}`,
  ]) {
    for (const text of [`<img src="${address}">`, `<p style="background:url('${address}')">`, address]) {
      const { photos, rebuild } = photosInText(text);
      assert.equal(photos.length, 1, text.slice(0, 60));
      assert.deepEqual(await bytesIn(photos[0]), BYTES);
      assert.equal(await rebuild(all(photos, RESULT)), text.replace(address, PROTECTED));
    }
  }
});

test('a photo in a drawing in an address is found', async () => {
  const drawing = `<svg><image href="${URI}"/></svg>`;
  for (const address of [
    `data:image/svg+xml;base64,${Buffer.from(drawing).toString('base64')}`,
    `data:image/svg+xml,${encodeURIComponent(drawing)}`,
  ]) {
    const { photos, rebuild } = photosInText(`<img src="${address}">`);
    assert.equal(photos.length, 1);
    const inner = /base64,([^"]*)/.exec(await rebuild(all(photos, RESULT)))[1];
    assert.equal(Buffer.from(inner, 'base64').toString(), drawing.replace(URI, PROTECTED));
  }
});

test('a drawing keeps its letters', async () => {
  const drawing = `<svg><text>caf\xe9 \u0416 \u{1f600}</text><image href="${URI}"/></svg>`;
  const few = drawing.replace(/[\0-\x7f]+/g, encodeURIComponent); // only what has to be is encoded
  const inBytes = (text) => Buffer.from(text).toString('latin1');
  const inText = (text) => photosInText(text), inFile = (text) => photosInBytes(inBytes(text), new Map());
  for (const body of [few, encodeURIComponent(drawing)]) {
    for (const search of [inText, inFile]) {
      const { photos, rebuild } = search(`<p>\u0416<img src="data:image/svg+xml,${body}">`);
      const rebuilt = Buffer.from(await rebuild(all(photos, RESULT))).toString();
      assert.match(rebuilt, /^<p>\u0416<img/);
      const inner = /base64,([^"]*)/.exec(rebuilt)[1];
      assert.equal(Buffer.from(inner, 'base64').toString(), drawing.replace(URI, PROTECTED));
    }
  }
});

test('a large photo is found too', async () => {
  const base64 = Buffer.alloc(24 << 20, 7).toString('base64');
  for (const body of [base64, base64.replace(/.{76}/g, '$&\n')]) {
    const [photo] = photosInText(`<img src="data:image/jpeg;base64,${body}">`).photos;
    assert.equal(photo.size, 24 << 20);
  }
});

test('one photo at several places is asked for once, and replaced everywhere', async () => {
  const { photos, rebuild } = photosInText(`${URI} and ${URI}`);
  assert.equal(photos.length, 1);
  assert.equal(await rebuild(all(photos, RESULT)), `${PROTECTED} and ${PROTECTED}`);
});

test('what was left out is a clear point, and an original stays', async () => {
  const text = `<img src="${URI}">`, { photos, rebuild } = photosInText(text);
  assert.match(await rebuild(all(photos, null)), /^<img src="data:image\/gif;base64,[^"]{50,90}">$/);
  assert.equal(await rebuild(new Map([[photos[0], photos[0]]])), text);
});

test('texts without a photo are left alone', () => {
  for (const text of [
    '', 'no photo', 'data:image/', 'data:text/plain;base64,AAAA', '<img src="https://a.example/me.jpg">',
    'data:image/png;base64,iVBORw0KGgo=', `data:image/svg+xml,${encodeURIComponent('<svg/>')}`,
  ]) assert.equal(photosInText(text).photos.length, 0, text);
});

test('bytes that are no UTF-8 and both kinds of UTF-16 keep their letters', async () => {
  const text = `<p>caf\xe9<img src="${URI}">`;
  const rebuilt = `<p>caf\xe9<img src="${PROTECTED}">`;
  const wide = (letters, big) => {
    const bytes = Buffer.from(`\ufeff${letters}`, 'utf16le');
    return (big ? bytes.swap16() : bytes).toString('latin1');
  };
  for (const encode of [(letters) => letters, (letters) => wide(letters), (letters) => wide(letters, true)]) {
    const { photos, rebuild } = photosInBytes(encode(text), new Map());
    assert.equal(photos.length, 1);
    assert.equal(Buffer.from(await rebuild(all(photos, RESULT))).toString('latin1'), encode(rebuilt));
  }
});
