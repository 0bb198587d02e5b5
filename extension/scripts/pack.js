// Packs the extension for Chromium and for Firefox: the folder as it is, and a manifest without what only the
// other browser knows.  `node scripts/pack.js [FOLDER]`; the same files give the same bytes.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { zipSync } from 'fflate';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PACKED = ['_locales', 'icons', 'src'];
/** What only the other browser knows, by the path of its keys. */
const LEFT_OUT = {
  chromium: [['browser_specific_settings'], ['background', 'scripts']],
  firefox: [['minimum_chrome_version'], ['message_serialization'], ['background', 'service_worker']],
};
/** The first day that the format knows: when a file was saved is nobody's business. */
const DAY = new Date(1980, 0, 1);

/** Files below a folder, in an order that is the same everywhere. */
function filesBelow(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      return entry.isDirectory() ? filesBelow(path) : [path];
    });
}

function manifestFor(browser) {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'manifest.json'), 'utf8'));
  for (const path of LEFT_OUT[browser]) {
    const last = path.at(-1), holder = path.slice(0, -1).reduce((found, key) => found?.[key], manifest);
    if (holder) delete holder[last];
  }
  return manifest;
}

const folder = process.argv[2] ?? join(ROOT, 'dist');
mkdirSync(folder, { recursive: true });
const names = PACKED.flatMap(filesBelow).filter((name) => !name.endsWith('.d.ts'));
const files = names.map((name) => [name, readFileSync(join(ROOT, name))]);
for (const browser of Object.keys(LEFT_OUT)) {
  const manifest = manifestFor(browser);
  const path = join(folder, `clip2protect-${manifest.version}-${browser}.zip`);
  const entries = [['manifest.json', Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)], ...files];
  writeFileSync(path, zipSync(Object.fromEntries(entries), { level: 9, mtime: DAY }));
  console.log(path);
}
