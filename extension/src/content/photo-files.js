// Which files are photos, and the file that a page gets in place of one.

(() => {
  /** How the names of photos end.  `hook.js` has the same list, for it may share nothing with us; a test
   * compares them. */
  const ENDINGS = /\.(jpe?g|jfif|pjpeg|png|apng|webp|gif|bmp|avif|hei[cf]|tiff?|jxl|dng|cr2|cr3|nef|arw)$/i;
  /** Types of results -> how their names may end; the first is used where the name ends otherwise.
   * @type {Record<string, string[]>} */
  const RESULTS = {
    'image/jpeg': ['jpg', 'jpeg', 'jfif', 'pjpeg'], 'image/png': ['png'], 'image/webp': ['webp'],
  };

  /** Whether a file is a photo, by its type and its name.
   * @param {{name: string, type: string, size: number}} file
   * @returns {boolean | undefined} undefined: only its bytes can tell */
  function isImage(file) {
    if (file.type.startsWith('image/') || ENDINGS.test(file.name)) return !file.type.startsWith('image/svg');
    return ['', 'application/octet-stream'].includes(file.type) && file.size > 0 ? undefined : false;
  }

  /** Whether a file begins as a photo does.
   * @param {Blob} file
   * @returns {Promise<boolean>} */
  async function startsLikeImage(file) {
    const bytes = new Uint8Array(await file.slice(0, 12).arrayBuffer());
    const text = String.fromCharCode(...bytes);
    return /^(\xff\xd8\xff|\x89PNG|GIF8|BM|II\*\0|MM\0\*)/.test(text) || /^RIFF....WEBP/s.test(text)
      || /^....ftyp(avi|hei|hev|mif|msf)/s.test(text);
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

  globalThis.clip2protect = { ...globalThis.clip2protect, isImage, startsLikeImage, fileOf };
})();
