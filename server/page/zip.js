// Several files as one: a ZIP archive whose files are stored as they are, for photos are compressed already.

/** An archive of this size needs another format. */
const LARGEST = 0xffffffff;
/** Version 2.0, and names in UTF-8. */
const VERSION = 20, UTF8 = 0x800;
/** 1 January 1980: when the photos were taken is nobody's business. */
const DATE = 0x21;

const TABLE = Uint32Array.from({ length: 256 }, (_, i) => {
  let value = i;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The checksum of bytes (CRC-32). */
function checksum(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** Numbers as bytes, the lowest first; each with its length in bytes. */
function packed(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [, size]) => sum + size, 0)));
  let place = 0;
  for (const [value, size] of fields) {
    if (size === 2) view.setUint16(place, value, true);
    else view.setUint32(place, value, true);
    place += size;
  }
  return view;
}

/** Names that differ: the second `a.jpg` is `a (2).jpg`. */
export function distinct(names) {
  const taken = new Set();
  return names.map((name) => {
    const [, stem, ending] = /^(.*?)(\.[^.]*)?$/s.exec(name);
    let free = name;
    for (let number = 2; taken.has(free); number += 1) free = `${stem} (${number})${ending ?? ''}`;
    taken.add(free);
    return free;
  });
}

/** An archive of files.
 * @param {{name: string, blob: Blob}[]} files
 * @returns {Promise<Blob>} */
export async function zipped(files) {
  const names = distinct(files.map(({ name }) => name.replace(/[\\/]/g, '_')));
  const parts = [], entries = [];
  let place = 0, size = 0;
  for (const [i, { blob }] of files.entries()) {
    const name = new TextEncoder().encode(names[i]);
    const crc = checksum(new Uint8Array(await blob.arrayBuffer()));
    // What both headers of a file say of it: no compression, date, checksum, sizes, length of the name.
    const about = [
      [VERSION, 2], [UTF8, 2], [0, 2], [0, 2], [DATE, 2], [crc, 4], [blob.size, 4], [blob.size, 4],
      [name.length, 2], [0, 2],
    ];
    const head = packed([0x04034b50, 4], ...about);
    const rest = [[0, 2], [0, 2], [0, 2], [0, 4], [place, 4]];
    entries.push(packed([0x02014b50, 4], [VERSION, 2], ...about, ...rest), name);
    parts.push(head, name, blob);
    place += head.byteLength + name.length + blob.size;
    if (place > LARGEST) throw { code: 'too_large', title: 'The photos are too large for one file' };
  }
  for (const entry of entries) size += entry.byteLength;
  const count = files.length;
  const end = packed([0x06054b50, 4], [0, 2], [0, 2], [count, 2], [count, 2], [size, 4], [place, 4], [0, 2]);
  return new Blob([...parts, ...entries, end], { type: 'application/zip' });
}
