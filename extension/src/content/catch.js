// Catches photos on their way to the page.  It runs before the page's scripts and in a world of its own, so
// that nothing the page does to its own objects changes anything here.  If anything goes wrong, the page gets
// no file.

(() => {
  const { own, toInput, toDrop, toPaste, rootIn, notice, isImage, startsLikeImage, fileOf } = clip2protect;
  /** By this event the hook in the page's world names a node to watch.  The event carries nothing else. */
  const LOOK = 'clip2protect-look';
  /** Milliseconds that the dialog may take to appear. */
  const PATIENCE = 20_000;

  // --- asking the user -----------------------------------------------------------------------------------

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
          port.disconnect(); // so the dialog knows that we have its answer
        });
        port.postMessage({ type: 'files', files });
      });
      const opened = chrome.runtime.sendMessage({ type: 'open', ticket, byUser });
      opened.then((answer) => {
        if (!answer || !('ok' in answer)) throw new Error('refused');
      }).catch(reject);
    });
  }

  /** @param {Decision} decision
   * @param {File} original
   * @returns {File[]} */
  function filesFor(decision, original) {
    if (decision.use === 'original') return [original];
    return decision.use === 'protected' ? [fileOf(original, decision.photo)] : [];
  }

  /** Hold files back until the user has decided.
   * @param {Upload} upload
   * @param {Event} event that brought them */
  async function hold(upload, event) {
    const byUser = event.isTrusted || navigator.userActivation?.isActive === true;
    try {
      const asked = upload.files.map(async (file) => isImage(file) ?? startsLikeImage(file));
      const kinds = await Promise.all(asked);
      const photos = upload.files.filter((_, i) => kinds[i]);
      const decisions = photos.length ? await consult(photos, byUser) : [];
      if (!decisions || decisions.length !== photos.length) return upload.cancel();
      const ready = upload.files.flatMap((file) => (
        photos.includes(file) ? filesFor(decisions[photos.indexOf(file)], file) : [file]));
      if (ready.length) upload.deliver(ready);
      else upload.cancel();
    } catch {
      upload.cancel();
      notice(words('notice_failed', 'The photo was not handed over: reload this page and try again.'));
    }
  }

  /** After an update of the extension, a script in an old page cannot look up its texts.
   * @param {string} key
   * @param {string} otherwise */
  function words(key, otherwise) {
    try { return chrome.i18n.getMessage(key) || otherwise; } catch { return otherwise; }
  }

  // --- where photos come from ----------------------------------------------------------------------------

  /** @param {File[]} files */
  const someImage = (files) => files.some((file) => isImage(file) !== false);

  /** Inputs whose `input` event was held back and whose `change` is still to come.
   * @type {WeakSet<HTMLInputElement>} */
  const resting = new WeakSet();

  /** Hold back the first of `input` and `change` of an input with photos.
   * @param {Event} event */
  function chosen(event) {
    const input = /** @type {HTMLInputElement} */ (event.composedPath()[0]);
    if (own.has(event)) return;
    if (input.localName !== 'input' || input.type !== 'file') return lookInto(input);
    if (resting.has(input)) return event.stopImmediatePropagation();
    const files = [...input.files ?? []];
    if (!someImage(files)) return;
    // A folder goes to the page as it is, with a notice: a file that we make has no place in a folder.  We
    // ask the files, not the input, for the page can change the input.
    if (files.some((file) => file.webkitRelativePath)) {
      return notice(words('notice_folder_input', 'The photos of this folder go to the site as they are.'));
    }
    event.stopImmediatePropagation();
    input.value = ''; // so that nothing can be read from it, or sent with its form, before the decision
    resting.add(input);
    setTimeout(() => resting.delete(input));
    hold(toInput(input, files), event);
  }

  /** @param {DragEvent} event */
  function dropped(event) {
    const data = event.dataTransfer;
    if (own.has(event) || !data) return;
    const files = [...data.files];
    const items = [...data.items].filter((item) => item.kind === 'file');
    const folder = items.some((item) => item.webkitGetAsEntry()?.isDirectory);
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

  /** Listen at a node itself, because its events may never reach the window.
   * @param {EventTarget | null} target */
  function watch(target) {
    if (!target || watched.has(target)) return;
    watched.add(target);
    target.addEventListener('input', chosen, true);
    target.addEventListener('change', chosen, true);
    target.addEventListener(LOOK, looked, true);
  }

  /** Watch the shadow tree of an element, and the trees inside it.
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
  // A closed shadow tree that came with the page's HTML is found on its first use, before an input in it can
  // be used.
  for (const kind of ['pointerdown', 'keydown', 'click']) {
    addEventListener(kind, (event) => lookInto(event.composedPath()[0]), true);
  }
})();
