// Packs the extension for Chromium and for Firefox: the folder as it is, and a manifest without what only the other
// browser knows.  The same files give the same bytes.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateRawSync } from 'node:zlib';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PACKED = ['_locales', 'icons', 'src'];
/** What only the other browser knows, by the path of its keys. */
const LEFT_OUT = {
  chromium: [['browser_specific_settings'], ['background', 'scripts']],
  firefox: [['minimum_chrome_version'], ['message_serialization'], ['background', 'service_worker']],
};
/** 1 January 1980, the first day that the format knows: when a file was saved is nobody's business. */
const DAY = (1 << 5) | 1;

/** Files below a folder, in an order that is the same everywhere. */
function filesBelow(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`]));
}

function manifestFor(browser) {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'manifest.json'), 'utf8'));
  for (const path of LEFT_OUT[browser]) {
    const last = path.at(-1), holder = path.slice(0, -1).reduce((found, key) => found?.[key], manifest);
    if (holder) delete holder[last];
  }
  return manifest;
}

/** A zip file of [name, bytes]. */
function zip(files) {
  const bodies = [], entries = [];
  let offset = 0;
  for (const [name, data] of files) {
    const title = Buffer.from(name), packed = deflateRawSync(data, { level: 9 });
    // Version 2.0, names in UTF-8, deflated.
    const common = [20, 0x800, 8, 0, DAY];
    const sizes = [crc32(data), packed.length, data.length];
    const head = record(0x04034b50, common, sizes, [title.length, 0]);
    entries.push(record(0x02014b50, [20, ...common], sizes, [title.length, 0, 0, 0, 0], [0, offset]), title);
    bodies.push(head, title, packed);
    offset += head.length + title.length + packed.length;
  }
  const list = Buffer.concat(entries);
  const end = record(0x06054b50, [0, 0, files.length, files.length], [list.length, offset], [0]);
  return Buffer.concat([...bodies, list, end]);
}

/** A signature, then groups of numbers of two and of four bytes by turns. */
function record(signature, ...groups) {
  const parts = groups.flatMap((numbers, i) => numbers.map((number) => bytes(number, i % 2 ? 4 : 2)));
  return Buffer.concat([bytes(signature, 4), ...parts]);
}

function bytes(number, size) {
  const buffer = Buffer.alloc(size);
  buffer.writeUIntLE(number, 0, size);
  return buffer;
}

mkdirSync(join(ROOT, 'dist'), { recursive: true });
const files = PACKED.flatMap(filesBelow).filter((name) => !name.endsWith('.d.ts')).map((name) => [name, readFileSync(join(ROOT, name))]);
for (const browser of Object.keys(LEFT_OUT)) {
  const manifest = manifestFor(browser);
  const name = `dist/clip2protect-${manifest.version}-${browser}.zip`;
  writeFileSync(join(ROOT, name), zip([['manifest.json', Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)], ...files]));
  console.log(name);
}
