// Catches photos on their way to the page.  It listens before the page can, in a world of its own: nothing that the page
// does to its own objects changes what runs here.  When anything at all goes wrong, the page gets no file.

(() => {
  const { own, toInput, toDrop, toPaste, rootIn, notice } = clip2protect;
  /** The hook in the page's world says by this event: keep an eye on this node.  It gives nothing and asks nothing else. */
  const LOOK = 'clip2protect-look';
  /** Milliseconds that the dialog may take to appear. */
  const PATIENCE = 20_000;
  const ENDINGS = /\.(jpe?g|jfif|pjpeg|png|apng|webp|gif|bmp|avif|hei[cf]|tiff?|jxl|dng|cr2|cr3|nef|arw)$/i;

  // --- what is a photo -----------------------------------------------------------------------------------

  /** @param {File} file
   * @returns {boolean | undefined} undefined: only its bytes can say */
  function isImage(file) {
    if (file.type.startsWith('image/') || ENDINGS.test(file.name)) return !file.type.startsWith('image/svg');
    return ['', 'application/octet-stream'].includes(file.type) && file.size > 0 ? undefined : false;
  }

  /** @param {File} file
   * @returns {Promise<boolean>} */
  async function startsLikeImage(file) {
    const bytes = new Uint8Array(await file.slice(0, 12).arrayBuffer());
    const text = String.fromCharCode(...bytes);
    return /^(\xff\xd8\xff|\x89PNG|GIF8|BM|II\*\0|MM\0\*)/.test(text) || /^RIFF....WEBP/s.test(text)
      || /^....ftyp(avi|hei|hev|mif|msf)/s.test(text);
  }

  // --- the user is asked ---------------------------------------------------------------------------------

  /** @typedef {import('../common/types.js').Decision} Decision */

  /** Ticket -> photos that wait for the dialog.
   * @type {Map<string, (port: chrome.runtime.Port) => void>} */
  const waiting = new Map();

  chrome.runtime.onConnect.addListener((port) => {
    const meet = port.sender?.id === chrome.runtime.id ? waiting.get(port.name) : undefined;
    if (!meet) return port.disconnect();
    waiting.delete(port.name);
    meet(port);
  });

  /** Show photos to the user.
   * @param {File[]} files
   * @param {boolean} byUser
   * @returns {Promise<Decision[] | null>} null: cancelled, or the dialog went away */
  function consult(files, byUser) {
    const ticket = crypto.randomUUID();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => { waiting.delete(ticket); reject(new Error('no dialog')); }, PATIENCE);
      waiting.set(ticket, (port) => {
        clearTimeout(timer);
        port.onDisconnect.addListener(() => resolve(null));
        port.onMessage.addListener((message) => {
          resolve(message.type === 'deliver' ? message.decisions : null);
          port.disconnect(); // tells the dialog that it was heard
        });
        port.postMessage({ type: 'files', files });
      });
      const opened = chrome.runtime.sendMessage({ type: 'open', ticket, byUser });
      opened.then((answer) => { if (!answer || !('ok' in answer)) throw new Error('refused'); }).catch(reject);
    });
  }

  /** A protected photo under the name that the user knows, ending as its type does.
   * @param {File} original
   * @param {Blob} photo
   * @returns {File} */
  function fileOf(original, photo) {
    // Not `instanceof`: in Firefox what a message brings is of another world.
    if (Object.prototype.toString.call(photo) !== '[object Blob]' || !photo.size) throw new Error('no photo');
    const endings = { 'image/jpeg': ['jpg', 'jpeg', 'jfif', 'pjpeg'], 'image/png': ['png'], 'image/webp': ['webp'] }[photo.type];
    if (!endings) throw new Error('no photo');
    const [, stem, ending = ''] = /^(.*?)(?:\.([^.]*))?$/s.exec(original.name) ?? ['', original.name];
    const name = endings.includes(ending.toLowerCase()) ? original.name : `${stem}.${endings[0]}`;
    return new File([photo], name, { type: photo.type, lastModified: original.lastModified });
  }

  /** @param {Decision} decision
   * @param {File} original
   * @returns {File[]} */
  function decided(decision, original) {
    if (decision.use === 'original') return [original];
    return decision.use === 'protected' ? [fileOf(original, decision.photo)] : [];
  }

  /** Hold files back until the user has decided.
   * @param {Upload} upload
   * @param {Event} event that brought them */
  async function hold(upload, event) {
    const byUser = event.isTrusted || navigator.userActivation?.isActive === true;
    try {
      const kinds = await Promise.all(upload.files.map(async (file) => isImage(file) ?? startsLikeImage(file)));
      const photos = upload.files.filter((_, i) => kinds[i]);
      const decisions = photos.length ? await consult(photos, byUser) : [];
      if (!decisions || decisions.length !== photos.length) return upload.cancel();
      const ready = upload.files.flatMap((file) => (photos.includes(file) ? decided(decisions[photos.indexOf(file)], file) : [file]));
      if (ready.length) upload.deliver(ready);
      else upload.cancel();
    } catch {
      upload.cancel();
      notice(words('notice_failed', 'The photo was not handed over: reload this page and try again.'));
    }
  }

  /** An extension that was updated can no longer look up its words.
   * @param {string} key
   * @param {string} otherwise */
  function words(key, otherwise) {
    try { return chrome.i18n.getMessage(key) || otherwise; } catch { return otherwise; }
  }

  // --- where photos come from ----------------------------------------------------------------------------

  /** @param {File[]} files */
  const someImage = (files) => files.some((file) => isImage(file) !== false);

  /** Inputs whose first event of two was held back, until both are over. @type {WeakSet<HTMLInputElement>} */
  const resting = new WeakSet();

  /** `input` or `change`, whichever comes first, of an input with photos.
   * @param {Event} event */
  function chosen(event) {
    const input = /** @type {HTMLInputElement} */ (event.composedPath()[0]);
    if (own.has(event)) return;
    if (input.localName !== 'input' || input.type !== 'file') return lookInto(input);
    if (resting.has(input)) return event.stopImmediatePropagation(); // the second event of the two
    const files = [...input.files ?? []];
    if (!someImage(files)) return;
    // Folders are left alone, but not in silence: their files' places could not be given back.  The files say whether they
    // come from one: what the input says, the page can change.
    if (files.some((file) => file.webkitRelativePath)) {
      return notice(words('notice_folder_input', 'The photos of this folder go to the site as they are.'));
    }
    event.stopImmediatePropagation();
    input.value = ''; // nothing may be read from it, or sent with its form, until it is decided
    resting.add(input);
    setTimeout(() => resting.delete(input));
    hold(toInput(input, files), event);
  }

  /** @param {DragEvent} event */
  function dropped(event) {
    const data = event.dataTransfer;
    if (own.has(event) || !data) return;
    const files = [...data.files];
    const folder = [...data.items].some((item) => item.kind === 'file' && item.webkitGetAsEntry()?.isDirectory);
    if (!folder && !someImage(files)) return;
    stop(event);
    const upload = toDrop(event, files);
    if (folder) {
      upload.cancel();
      notice(words('notice_folder', 'Photos in a folder cannot be protected.'));
    } else hold(upload, event);
  }

  /** @param {ClipboardEvent} event */
  function pasted(event) {
    const files = [...event.clipboardData?.files ?? []];
    if (own.has(event) || !someImage(files)) return;
    stop(event);
    hold(toPaste(event, files), event);
  }

  /** @param {Event} event */
  function stop(event) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  // --- where to listen -----------------------------------------------------------------------------------

  /** @type {WeakSet<EventTarget>} */
  const watched = new WeakSet();

  /** Listen at a node itself: its events may never reach the window.
   * @param {EventTarget | null} target */
  function watch(target) {
    if (!target || watched.has(target)) return;
    watched.add(target);
    target.addEventListener('input', chosen, true);
    target.addEventListener('change', chosen, true);
    target.addEventListener(LOOK, looked, true);
  }

  /** Watch the shadow tree of an element, and those within.
   * @param {EventTarget} element */
  function lookInto(element) {
    const root = 'nodeType' in element ? rootIn(/** @type {Element} */ (element)) : null;
    if (!root || watched.has(root)) return;
    watch(root);
    for (const inner of root.querySelectorAll('*')) lookInto(inner);
  }

  /** @param {Event} event */
  function looked(event) {
    const node = /** @type {MouseEvent} */ (event).relatedTarget ?? event.composedPath()[0];
    if (!('nodeType' in node)) return;
    watch(node);
    watch(/** @type {Node} */ (node).getRootNode());
    watch(/** @type {HTMLLabelElement} */ (node).control);
    lookInto(node);
  }

  watch(window);
  addEventListener('drop', dropped, true);
  addEventListener('paste', pasted, true);
  // A closed shadow tree that came with the page's text is found when it is used, before its input can be.
  for (const kind of ['pointerdown', 'keydown', 'click']) addEventListener(kind, (event) => lookInto(event.composedPath()[0]), true);
})();
