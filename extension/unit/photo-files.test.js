// Which files are photos, and the names of results.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import '../src/content/photo-files.js';

const { isImage, startsLikeImage, fileOf } = globalThis.clip2protect;
const file = (name, type = '', size = 9) => ({ name, type, size });
const PHOTO = new Blob(['photo'], { type: 'image/jpeg' });

test('a type or an ending makes a photo', () => {
  for (const type of ['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/heic', 'image/new']) {
    assert.equal(isImage(file('x', type)), true, type);
  }
  const endings = 'jpg JPEG jfif png webp gif bmp avif heic heif tif tiff jxl dng cr2 cr3 nef arw';
  for (const ending of endings.split(' ')) {
    assert.equal(isImage(file(`x.${ending}`, 'text/plain')), true, ending);
  }
});

test('drawings and other files are none', () => {
  for (const [name, type] of [
    ['a.svg', 'image/svg+xml'], ['a.png', 'image/svg+xml'], ['a.txt', 'text/plain'],
    ['a.pdf', 'application/pdf'], ['a.png.txt', 'text/plain'], ['jpg', 'text/plain'],
  ]) assert.equal(isImage(file(name, type)), false, name);
});

test('of a file without type or ending only the bytes can tell', () => {
  assert.equal(isImage(file('IMG_2041')), undefined);
  assert.equal(isImage(file('me.jpg_large', 'application/octet-stream')), undefined);
  assert.equal(isImage(file('empty', '', 0)), false);
});

test('the first bytes tell', async () => {
  const starts = [
    '\xff\xd8\xff\xe0', '\x89PNG\r\n', 'GIF89a', 'BM', 'II*\0', 'MM\0*', 'RIFF\n\n\n\nWEBP',
    '\0\0\0\nftypavif', '\0\0\0\x20ftypheic', '\0\0\0\x20ftypmif1',
  ];
  const blob = (text) => new Blob([Uint8Array.from(text, (letter) => letter.charCodeAt(0))]);
  for (const start of starts) assert.equal(await startsLikeImage(blob(`${start}more`)), true, start);
  for (const start of ['', 'text', '%PDF', '\0\0\0\x20ftypmp42', 'RIFF\0\0\0\0WAVE', ' GIF8']) {
    assert.equal(await startsLikeImage(blob(start)), false, start);
  }
});

test('a result has the name of the original, and an ending that fits its type', () => {
  const names = {
    'me.jpg': 'me.jpg', 'me.JPEG': 'me.JPEG', 'me.jfif': 'me.jfif', 'me.png': 'me.jpg', 'me.heic': 'me.jpg',
    me: 'me.jpg', 'me.jpg_large': 'me.jpg', 'me.v2.jpg': 'me.v2.jpg', 'me.jpg.1': 'me.jpg.jpg',
    '.jpg': '.jpg', 'a\nb.png': 'a\nb.jpg',
  };
  for (const [name, expected] of Object.entries(names)) {
    assert.equal(fileOf({ name, lastModified: 5 }, PHOTO).name, expected, name);
  }
});

test('a result keeps its bytes, its type and the time of the original', async () => {
  const result = fileOf({ name: 'me.jpg', lastModified: 5 }, PHOTO);
  assert.deepEqual([await result.text(), result.type, result.lastModified], ['photo', 'image/jpeg', 5]);
});

test('anything else is not handed over as a photo', () => {
  const original = { name: 'me.jpg', lastModified: 5 };
  const others = [
    new Blob([], { type: 'image/jpeg' }), new Blob(['x'], { type: 'text/html' }), new Blob(['x']),
    { type: 'image/jpeg', size: 3 }, 'photo', null, undefined,
    new File(['x'], 'me.jpg', { type: 'image/jpeg' }),
  ];
  for (const other of others) assert.throws(() => fileOf(original, other), /no photo/);
});

test('the hook knows photos by the same endings', () => {
  const read = (name) => readFileSync(new URL(`../src/content/${name}.js`, import.meta.url), 'utf8');
  const endings = (name) => /const ENDINGS = (.*);/.exec(read(name))[1];
  assert.equal(endings('hook'), endings('photo-files'));
});
