// Photos inside texts: addresses that hold a whole picture, as HTML and drawings have them.

(() => {
  if (globalThis.clip2protect?.started) return; // put into a page that has our scripts

  /** A line's end in an address, which may be spelt as a character reference. */
  const GAP = '[ \\t]*(?:\\r?\\n|&#(?:0*1[03]|x0*[ad]);|&NewLine;|%0[ad])[ \\t]*';
  const DIGIT = '[\\w+/%-]';
  /** How an address of a picture begins. */
  const HEAD = /data:image\/[\w.+-]+(?:;[\w.+-]+=[^;,"'<>\s]*)*(;\s*base64\s*)?,\s*/gi;
  /** What may follow, piece by piece: one expression over a whole photo would exhaust the browser's stack.  A
   * gap belongs to an address only if more of it follows: a long line, or one that ends the address. */
  const PIECES = {
    base64: new RegExp(
      `${DIGIT}{1,4096}|(?:${GAP})+(?!data:)(?=${DIGIT}{20}|${DIGIT}{0,19}={0,2}["')<])`, 'iy'),
    plain: /[^"'<>()\s\\]{1,4096}/y,
  };
  const GAPS = new RegExp(`\\s|${GAP}`, 'gi');
  /** Letters that are made at a time. */
  const PIECE = 32768;
  /** A picture of so few bytes shows nobody. */
  const LEAST = 256;
  /** What stands in place of a photo that was left out: a picture of one clear point. */
  const NOTHING = 'data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==';

  /** Bytes as a text with a character for each, so that no coding of letters is lost.
   * @param {Blob} blob
   * @returns {Promise<string>} */
  async function lettersOf(blob) {
    // A copy of our own: in Firefox, the buffer is the page's, and we cannot take parts of it.
    const bytes = new Uint8Array(blob.size);
    bytes.set(new Uint8Array(await blob.arrayBuffer()));
    let letters = '';
    for (let i = 0; i < bytes.length; i += PIECE) {
      letters += String.fromCharCode(...bytes.subarray(i, i + PIECE));
    }
    return letters;
  }

  /** @param {string} letters
   * @returns {Uint8Array<ArrayBuffer>} */
  function bytesOf(letters) {
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
    return bytes;
  }

  /** @param {string} text
   * @returns {string} its bytes as a browser sends them, a character each */
  const utf8 = (text) => String.fromCharCode(...new TextEncoder().encode(text));

  /** The addresses of pictures in a text, and where they begin.
   * @param {string} text
   * @returns {Generator<{address: string, index: number}>} */
  function* addressesIn(text) {
    const heads = [...text.matchAll(HEAD)];
    let end = 0;
    for (const { 0: head, 1: base64, index } of heads) {
      if (index < end) continue;
      const piece = PIECES[base64 ? 'base64' : 'plain'];
      end = index + head.length;
      piece.lastIndex = end;
      while (piece.test(text)) end = piece.lastIndex;
      if (base64) while (text[end] === '=') end += 1;
      yield { address: text.slice(index, end), index };
    }
  }

  /** @param {string} address
   * @param {boolean} raw whether its letters are bytes already
   * @returns {{kind: string, letters: string}} letters that are bytes */
  function decode(address, raw) {
    const comma = address.indexOf(','), head = address.slice(5, comma), body = address.slice(comma + 1);
    const kind = head.split(';')[0].trim().toLowerCase();
    const base64 = /;\s*base64\s*$/i.test(head);
    const plain = raw ? body : body.replace(/[^\0-\x7f]{1,4096}/gu, utf8);
    const letters = (base64 ? body.replace(GAPS, '') : plain).replace(/%([\da-f]{2})/gi, (_, code) => (
      String.fromCharCode(parseInt(code, 16))));
    if (!base64) return { kind, letters };
    // Whatever follows the address in the text, its beginning can be read.
    const digits = letters.replace(/-/g, '+').replace(/_/g, '/').replace(/[^\w+/]/g, '');
    return { kind, letters: atob(digits.slice(0, digits.length - Number(digits.length % 4 === 1))) };
  }

  /** Photos by their addresses, so that the user is asked once about each.
   * @typedef {Map<string, File>} Known */
  /** @param {string} text
   * @param {Known} [known]
   * @param {boolean} [raw] whether its letters are bytes
   * @returns {TextHolder} */
  function photosInText(text, known = new Map(), raw = false) {
    /** @type {(string | File | {inner: TextHolder})[]} */
    const parts = [];
    let end = 0;
    for (const { address, index } of addressesIn(text)) {
      const part = partOf(address, known, raw);
      if (!part) continue;
      parts.push(text.slice(end, index), part);
      end = index + address.length;
    }
    parts.push(text.slice(end));
    const photos = parts.flatMap((part) => (
      part instanceof File ? [part] : typeof part === 'string' ? [] : part.inner.photos));
    return {
      photos: [...new Set(photos)],
      rebuild: async (results) => {
        const texts = parts.map((part) => (
          typeof part === 'string' ? part : addressAfter(part, results, known)));
        return (await Promise.all(texts)).join('');
      },
    };
  }

  /** What an address holds.
   * @param {string} address
   * @param {Known} known
   * @param {boolean} raw
   * @returns {File | {inner: TextHolder} | undefined} undefined: neither a photo nor a drawing with one */
  function partOf(address, known, raw) {
    const before = known.get(address);
    if (before) return before;
    const picture = decode(address, raw);
    if (picture.kind.startsWith('image/svg')) {
      const inner = photosInText(picture.letters, known, true);
      return inner.photos.length ? { inner } : undefined;
    }
    if (picture.letters.length < LEAST) return undefined;
    const ending = picture.kind.slice(6).replace('jpeg', 'jpg').replace(/[^a-z0-9].*/, '');
    const photo = new File([bytesOf(picture.letters)], `picture.${ending}`, { type: picture.kind });
    known.set(address, photo);
    return photo;
  }

  /** @param {File | {inner: TextHolder}} part
   * @param {Map<File, File | null>} results
   * @param {Known} known
   * @returns {Promise<string>} */
  async function addressAfter(part, results, known) {
    if (!(part instanceof File)) {
      return addressOf(new Blob([bytesOf(await part.inner.rebuild(results))], { type: 'image/svg+xml' }));
    }
    const result = results.get(part);
    if (result === part) return [...known].find(([, photo]) => photo === part)?.[0] ?? NOTHING;
    return result ? addressOf(result) : NOTHING;
  }

  /** @param {Blob} blob
   * @returns {Promise<string>} */
  async function addressOf(blob) {
    return `data:${blob.type};base64,${btoa(await lettersOf(blob))}`;
  }

  /** The photos in a file that is a text.
   * @param {string} letters its bytes, a character each
   * @param {Known} known
   * @returns {BytesHolder} */
  function photosInBytes(letters, known) {
    const wide = { '\xff\xfe': [0, 1], '\xfe\xff': [1, 0] }[letters.slice(0, 2)];
    if (!wide) {
      const { photos, rebuild } = photosInText(letters, known, true);
      return { photos, rebuild: async (results) => bytesOf(await rebuild(results)) };
    }
    // UTF-16: two bytes a letter, in the order that the mark at the beginning says.
    let text = '';
    for (let i = 0; i + 1 < letters.length; i += 2) {
      text += String.fromCharCode(letters.charCodeAt(i + wide[0]) + 256 * letters.charCodeAt(i + wide[1]));
    }
    const { photos, rebuild } = photosInText(text, known);
    const back = (/** @type {string} */ rebuilt) => {
      const bytes = new Uint8Array(2 * rebuilt.length);
      for (let i = 0; i < rebuilt.length; i += 1) {
        bytes[2 * i + wide[0]] = rebuilt.charCodeAt(i) & 255;
        bytes[2 * i + wide[1]] = rebuilt.charCodeAt(i) >> 8;
      }
      return bytes;
    };
    return { photos, rebuild: async (results) => back(await rebuild(results)) };
  }

  globalThis.clip2protect = {
    ...globalThis.clip2protect, photosInText, photosInBytes, lettersOf, addressOf,
  };
})();
