// Which files are photos or may hold some, and the file that a page gets in place of one.

(() => {
  if (globalThis.clip2protect?.started) return; // put into a page that has our scripts

  const RAW = '3fr|arw|cap|cr2|cr3|crw|dcr|dng|erf|fff|gpr|iiq|k25|kdc|mef|mos|mrw|nef|nrw|orf|pef|ptx|raf|'
    + 'raw|rw2|rwl|sr2|srf|srw|x3f';
  /** How the names of photos end. */
  const ENDINGS = new RegExp(
    `\\.(jpe?g|jpe|jfif|pjpeg|png|apng|webp|gif|bmp|avif|hei[cf]s?|hif|tiff?|jxl|jp2|j2k|mpo|${RAW})$`, 'i');
  /** Texts that may hold photos: by their type, their name or their beginning. */
  const TEXT_TYPES = /^(image\/svg|text\/html|text\/xml|application\/(xhtml\+)?xml)/;
  const TEXT_ENDINGS = /\.(svg|x?html?|xml)$/i;
  const TEXT_STARTS = /^(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*<[\s\0]*[!?a-z]/i;
  const PHOTO_STARTS = [
    /^(\xff\xd8\xff|\x89PNG|GIF8|BM.{4}\0\0\0\0|II\*\0|MM\0\*|II\x55\0|IIRO|IIRS|FUJIFILM|\xff\n|8BPS)/s,
    /^RIFF....WEBP/s, /^....ftyp(avi|hei|hev|mif|msf|crx)/s, /^\0\0\0\f(JXL |jP {2})/,
  ];
  /** Bytes of a file that tell its kind. */
  const START = 64;
  /** Types of results -> how their names may end; the first is used where the name ends otherwise.
   * @type {Record<string, string[]>} */
  const RESULTS = {
    'image/jpeg': ['jpg', 'jpeg', 'jfif', 'pjpeg', 'jpe'], 'image/png': ['png'], 'image/webp': ['webp'],
  };

  /** What a file is: a photo, a text that may hold some, or something else.
   * @param {{name: string, type: string}} file
   * @param {string} start its first bytes, a character each
   * @returns {'photo' | 'text' | 'other'} */
  function kindOf(file, start) {
    const drawing = TEXT_TYPES.test(file.type);
    const named = file.type.startsWith('image/') || ENDINGS.test(file.name);
    if (PHOTO_STARTS.some((known) => known.test(start)) || (named && !drawing)) return 'photo';
    return drawing || TEXT_ENDINGS.test(file.name) || TEXT_STARTS.test(start) ? 'text' : 'other';
  }

  /** Bytes of a file at once, because an event cannot be held back later.
   * @param {Blob} file
   * @returns {string | undefined} a character each; undefined where the page's policy forbids it */
  function read(file) {
    if (!file.size) return '';
    const address = URL.createObjectURL(file), request = new XMLHttpRequest();
    try {
      request.open('GET', address, false);
      request.overrideMimeType('text/plain; charset=x-user-defined');
      request.send();
      const { responseText } = request; // bytes over 127 lie elsewhere in it
      const byte = (/** @type {string} */ letter) => String.fromCharCode(letter.charCodeAt(0) & 255);
      return responseText.replace(/[\uf780-\uf7ff]/g, byte);
    } catch {
      return undefined;
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  /** @param {File} file
   * @returns {'photo' | 'text' | 'other' | undefined} undefined: only a later look can tell */
  function kindNow(file) {
    const start = read(file.slice(0, START));
    if (start !== undefined) return kindOf(file, start);
    const named = kindOf(file, '');
    return named === 'other' ? undefined : named;
  }

  /** @param {File} file
   * @returns {Promise<'photo' | 'text' | 'other'>} */
  async function kindLater(file) {
    const bytes = new Uint8Array(await file.slice(0, START).arrayBuffer());
    return kindOf(file, String.fromCharCode(...bytes));
  }

  /** The protected photo as a file.  It has the original's name, with an ending that fits its type.
   * @param {{name: string, lastModified: number}} original
   * @param {Blob} photo
   * @returns {File} */
  function fileOf(original, photo) {
    // Not `instanceof`: in Firefox a message's `Blob` is of another world.
    const blob = Object.prototype.toString.call(photo) === '[object Blob]', endings = RESULTS[photo?.type];
    if (!blob || !photo.size || !endings) throw new Error('no photo');
    const [, stem, ending = ''] = /^(.*?)(?:\.([^.]*))?$/s.exec(original.name) ?? ['', original.name];
    const name = endings.includes(ending.toLowerCase()) ? original.name : `${stem}.${endings[0]}`;
    return new File([photo], name, { type: photo.type, lastModified: original.lastModified });
  }

  globalThis.clip2protect = { ...globalThis.clip2protect, kindOf, kindNow, kindLater, read, fileOf };
})();
