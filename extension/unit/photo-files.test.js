// Which files are photos, and the names of results.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import '../src/content/photo-files.js';

const { kindOf, fileOf } = globalThis.clip2protect;
const kind = (name, type = '', start = 'no photo') => kindOf({ name, type }, start);
const PHOTO = new Blob(['photo'], { type: 'image/jpeg' });

test('a type or an ending makes a photo', () => {
  for (const type of ['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/heic', 'image/new']) {
    assert.equal(kind('x', type), 'photo', type);
  }
  const endings = 'jpg JPEG jpe jfif png webp gif bmp avif heic heif tif tiff jxl jp2 mpo '
    + 'dng cr2 cr3 nef arw raf rw2 orf pef srw x3f 3fr iiq';
  for (const ending of endings.split(' ')) assert.equal(kind(`x.${ending}`, 'text/plain'), 'photo', ending);
});

test('the first bytes make a photo, whatever the name and the type say', () => {
  const starts = [
    '\xff\xd8\xff\xe0', '\x89PNG\r\n', 'GIF89a', 'BM\x01\x02\x03\x04\0\0\0\0', 'II*\0', 'MM\0*',
    'RIFF\n\n\n\nWEBP', '\0\0\0\nftypavif', '\0\0\0\x20ftypheic', '\0\0\0\x20ftypmif1', 'FUJIFILM',
    'II\x55\0', 'IIRO\x08', '\0\0\0\x20ftypcrx ', '\0\0\0\fJXL \r\n', '\xff\n', '8BPS',
  ];
  for (const start of starts) {
    for (const [name, type] of [
      ['IMG_2041', ''], ['me.pdf', 'application/pdf'], ['me.txt', 'text/plain'], ['me.bak', ''],
      ['a.svg', 'image/svg+xml'],
    ]) assert.equal(kind(name, type, `${start}more`), 'photo', start);
  }
  const others = [
    '', 'text', '%PDF', '\0\0\0\x20ftypmp42', 'RIFF\0\0\0\0WAVE', ' GIF8', 'BMW is a car', 'PK',
  ];
  for (const start of others) assert.equal(kind('x', '', start), 'other', start);
});

test('drawings and pages are texts that may hold photos', () => {
  for (const [name, type, start] of [
    ['a.svg', 'image/svg+xml'], ['a.png', 'image/svg+xml'], ['a.svg'], ['a.HTML'], ['a.xhtml'],
    ['x', 'text/html'],
    ['x', 'application/xml'], ['x', '', '<svg xmlns'], ['x.txt', 'text/plain', '\n <!doctype html>'],
    ['x', '', '\xff\xfe<\0h\0'], ['x', '', '\xef\xbb\xbf<?xml'],
  ]) assert.equal(kind(name, type, start), 'text', name);
});

test('other files are neither', () => {
  for (const [name, type] of [
    ['a.txt', 'text/plain'], ['a.pdf', 'application/pdf'], ['a.png.txt', 'text/plain'], ['jpg', 'text/plain'],
    ['notes'],
  ]) assert.equal(kind(name, type), 'other', name);
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
