// Catches photos on their way to the page.  It runs before the page's scripts and in a world of its own, so
// that nothing the page does to its own objects changes anything here.

(() => {
  if (globalThis.clip2protect?.started) return; // put into a page that has our scripts

  const { makeMark, own, settled, hold, leave, mayHoldPhotos, textsHoldPhotos, textsOf } = clip2protect;
  const { toInput, toDrop, toPaste, rootIn, notice, words, isAlive } = clip2protect;
  /** The hook in the page's world and this script meet by these events, before the page's scripts run. */
  const HERE = 'clip2protect-here', WHERE = 'clip2protect-where';
  /** By this event, the scripts of a new version of the extension tell those of an old one to end. */
  const NEWER = 'clip2protect-newer';

  // --- inputs --------------------------------------------------------------------------------------------

  /** Inputs whose `input` event was held back and whose `change` is still to come.
   * @type {WeakSet<HTMLInputElement>} */
  const resting = new WeakSet();

  /** Hold back the first of `input` and `change` of an input with photos.
   * @param {Event} event */
  function chosen(event) {
    const input = /** @type {HTMLInputElement} */ (event.composedPath()[0]);
    if (own.has(event)) return;
    if (input?.localName !== 'input' || input.type !== 'file') return;
    if (resting.has(input)) return event.stopImmediatePropagation();
    if (!take(input, event.isTrusted)) return;
    event.stopImmediatePropagation();
    resting.add(input);
    setTimeout(() => resting.delete(input));
  }

  /** Lists of files that the page itself has put into an input: it has them already. */
  const put = makeMark('put');

  /** Take photos out of an input, so that nothing can be read from it, or sent with its form, before the
   * decision.
   * @param {HTMLInputElement} input
   * @param {boolean} byUser
   * @returns {Promise<boolean> | undefined} whether the page got files at last; undefined: no photo */
  function take(input, byUser) {
    const list = input.files, files = [...list ?? []];
    if (!files.length || settled.has(list)) return undefined;
    if (!files.some(mayHoldPhotos)) {
      settled.add(list);
      return undefined;
    }
    input.value = '';
    const upload = toInput(input, files);
    // A file that we make has no place in a folder.  We ask the files, not the input: the page can change it.
    if (!files.some((file) => file.webkitRelativePath)) return hold(upload, byUser);
    refuseFolder(upload);
    return Promise.resolve(false);
  }

  /** @param {Upload} upload */
  function refuseFolder(upload) {
    upload.cancel();
    notice(words('notice_folder', 'Photos in a folder cannot be protected.'));
  }

  /** Take photos out of an input that holds some although we saw no event: the browser has filled it from the
   * page's history, or it was filled before we came.
   * @param {any} node an input, or a form with inputs
   * @returns {Promise<boolean>[]} whether the page got files at last, for each */
  function takeFrom(node) {
    const form = node?.localName === 'form', inputs = form ? elementsOf(node) : [node];
    return [...inputs].flatMap((input) => (
      isFilled(input) && !put.has(input.files) ? take(input, false) ?? [] : []));
  }

  /** @param {any} input */
  const isFilled = (input) => (
    input?.localName === 'input' && input.type === 'file' && input.files?.length > 0);

  /** A form's elements, whatever names it gives to them.
   * @param {HTMLFormElement} form
   * @returns {Iterable<Element>} */
  const elementsOf = (form) => (
    Object.getOwnPropertyDescriptor(HTMLFormElement.prototype, 'elements')?.get?.call(form) ?? []);

  /** Hold a form back that holds photos, and send it once they are decided on.
   * @param {SubmitEvent} event */
  function submitted(event) {
    const form = /** @type {HTMLFormElement} */ (event.composedPath()[0]), held = takeFrom(form);
    if (!held.length) return;
    stop(event);
    sendAfter(held, () => HTMLFormElement.prototype.requestSubmit.call(form, event.submitter));
  }

  /** @param {Promise<boolean>[]} held
   * @param {() => void} submit */
  async function sendAfter(held, submit) {
    if ((await Promise.all(held)).every(Boolean)) submit();
  }

  // --- drop and paste ------------------------------------------------------------------------------------

  /** @param {DragEvent} event */
  function dropped(event) {
    const data = event.dataTransfer;
    if (own.has(event) || !data) return;
    const files = [...data.files], photos = files.some(mayHoldPhotos);
    const items = [...data.items].filter((item) => item.kind === 'file');
    const folder = items.some((item) => item.webkitGetAsEntry()?.isDirectory);
    if (!folder && !photos && !textsHoldPhotos(textsOf(data))) return;
    stop(event);
    const upload = toDrop(event, files, photos);
    if (folder) refuseFolder(upload);
    else hold(upload, event.isTrusted);
  }

  /** @param {ClipboardEvent} event */
  function pasted(event) {
    const data = event.clipboardData;
    if (own.has(event) || !data) return;
    const files = [...data.files], photos = files.some(mayHoldPhotos);
    if (!photos && !textsHoldPhotos(textsOf(data))) return;
    stop(event);
    hold(toPaste(event, files, photos), event.isTrusted);
  }

  /** @param {Event} event */
  function stop(event) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  // --- where to listen -----------------------------------------------------------------------------------

  /** Ends all listeners, when the scripts of a newer version have taken over. */
  const end = new AbortController(), { signal } = end;
  /** @type {WeakSet<EventTarget>} */
  let watched = new WeakSet();
  /** The node by which the hook speaks to us, and nobody else. @type {Element | undefined} */
  let hook;

  /** Listen at a node itself, because its events may never reach the window.
   * @param {EventTarget | null} target */
  function watch(target) {
    if (!target || watched.has(target)) return;
    watched.add(target);
    target.addEventListener('input', chosen, { capture: true, signal });
    target.addEventListener('change', chosen, { capture: true, signal });
    target.addEventListener('submit', /** @type {EventListener} */ (submitted), { capture: true, signal });
    if (hook) target.addEventListener(hook.id, looked, { capture: true, signal });
  }

  /** Watch the shadow tree of an element, and the trees inside it.
   * @param {EventTarget} element */
  function lookInto(element) {
    const root = 'nodeType' in element ? rootIn(/** @type {Element} */ (element)) : null;
    if (!root || watched.has(root)) return;
    watch(root);
    for (const inner of root.querySelectorAll('*')) lookInto(inner);
  }

  /** The hook has named a node.
   * @param {Event} event */
  function looked(event) {
    const node = /** @type {MouseEvent} */ (event).relatedTarget ?? event.composedPath()[0];
    if (!('nodeType' in node)) return;
    watch(node);
    watch(/** @type {Node} */ (node).getRootNode());
    watch(/** @type {HTMLLabelElement} */ (node).control);
    lookInto(node);
    takeFrom(node);
  }

  /** A closed shadow tree that came with the page's HTML is found on its first use, before an input in it can
   * be used.
   * @param {Event} event */
  const used = (event) => lookInto(event.composedPath()[0]);

  /** Look at all inputs that the page has: the browser may have filled them. */
  function lookThrough() {
    for (const input of document.querySelectorAll('input[type=file]')) takeFrom(input);
  }

  /** Listen in a window, also anew: a document that is opened anew loses all listeners.
   * @param {Window} view */
  function listen(view) {
    watched = new WeakSet();
    watch(view);
    const how = { capture: true, signal };
    view.addEventListener('drop', dropped, how);
    view.addEventListener('paste', pasted, how);
    for (const kind of ['pointerdown', 'keydown', 'click']) view.addEventListener(kind, used, how);
    if (view !== window) return;
    for (const kind of ['DOMContentLoaded', 'load', 'pageshow']) addEventListener(kind, lookThrough, how);
    addEventListener('pagehide', (event) => { if (event.isTrusted) leave(); }, how);
    addEventListener(NEWER, stepAside, how);
  }

  /** A document was opened anew: this one, or one of the same site that the page writes to.
   * @param {any} page */
  function opened(page) {
    const view = page?.defaultView;
    if (!view) return;
    // The script of that window is in the same world as this one, and its dialog belongs to its tab.
    if (view.clip2protect?.listen) view.clip2protect.listen();
    else listen(view);
  }

  // --- the hook in the page's world ----------------------------------------------------------------------

  /** @type {Record<string, (event: MouseEvent) => void>} */
  const HOOKED = {
    look: looked,
    put: ({ relatedTarget }) => {
      put.add(/** @type {HTMLInputElement} */ (relatedTarget).files);
    },
    // Files that a function of the browser gave.  Prevented: we hold them back.
    offer: (event) => {
      const input = /** @type {HTMLInputElement} */ (event.relatedTarget);
      watch(input);
      if (take(input, false)) event.preventDefault();
    },
    // A form is sent without an event, or read.  Prevented: it is held back.
    submit: (event) => {
      const form = /** @type {HTMLFormElement} */ (event.relatedTarget), held = takeFrom(form);
      if (!held.length) return;
      event.preventDefault();
      sendAfter(held, () => HTMLFormElement.prototype.submit.call(form));
    },
    opened: ({ relatedTarget }) => opened(relatedTarget),
  };

  /** @param {MouseEvent} event */
  function meet(event) {
    const node = /** @type {Element} */ (event.relatedTarget);
    if (hook || !node) return;
    hook = node;
    event.preventDefault(); // so that the hook knows that we are here
    event.stopImmediatePropagation();
    removeEventListener(HERE, /** @type {EventListener} */ (meet), true);
    for (const [kind, act] of Object.entries(HOOKED)) {
      node.addEventListener(kind, /** @type {EventListener} */ (act), { signal });
    }
    listen(window);
  }

  /** Let the hook note whether the page looks at files.
   * @returns {() => boolean} whether it has */
  function watchLooks() {
    hook?.dispatchEvent(new Event('handing'));
    return () => !hook || !hook.dispatchEvent(new Event('taken', { cancelable: true }));
  }

  /** Let the scripts of a newer version take over.  Without the extension that they belong to, these here can
   * only refuse. */
  function stepAside() {
    if (isAlive()) return;
    hook?.dispatchEvent(new Event('end'));
    end.abort();
  }

  dispatchEvent(new Event(NEWER));
  listen(window);
  addEventListener(HERE, /** @type {EventListener} */ (meet), { capture: true, signal });
  dispatchEvent(new Event(WHERE)); // the hook may be here already
  // A document that is opened anew keeps its observers.
  new MutationObserver(() => { if (!signal.aborted) listen(window); }).observe(document, { childList: true });
  lookThrough();

  globalThis.clip2protect = {
    ...globalThis.clip2protect, started: true, listen: () => listen(window), watchLooks,
  };
})();
