// Hands files to the page as if the user had chosen, dropped or pasted them just now.  It runs in a world of
// its own, where the page's changes to its objects have no effect.

(() => {
  if (globalThis.clip2protect?.started) return; // put into a page that has our scripts

  const { addressOf } = clip2protect;
  /** Marks objects of the browser.  Our scripts in all frames see a mark, because two of them may watch the
   * same node.  A page cannot see or set it: such an object has other properties in every world.
   * @param {string} name */
  function makeMark(name) {
    const key = Symbol.for(`clip2protect ${name}`);
    return {
      /** @param {any} object */
      add(object) { object[key] = true; },
      /** @param {any} object
       * @returns {boolean} */
      has: (object) => object?.[key] === true,
    };
  }

  /** Our own events. */
  const own = makeMark('own');
  /** Files that may go on, and lists of such files: they are decided about, or no photos. */
  const settled = makeMark('settled');

  /** @param {EventTarget} target
   * @param {Event} event
   * @returns {boolean} whether the page let the browser go on */
  function send(target, event) {
    own.add(event);
    return target.dispatchEvent(event);
  }

  /** The shadow root of an element, closed ones too.
   * @param {Element} element
   * @returns {ShadowRoot | null} */
  function rootIn(element) {
    if (!(element instanceof HTMLElement)) return null;
    const { dom } = globalThis.chrome;
    return element.openOrClosedShadowRoot?.() ?? dom?.openOrClosedShadowRoot?.(element) ?? null;
  }

  /** The innermost element at a place.
   * @param {number} x
   * @param {number} y
   * @returns {Element | null} */
  function elementAt(x, y) {
    let found = document.elementFromPoint(x, y);
    for (let root = found && rootIn(found); root; root = found && rootIn(found)) {
      const inner = root.elementFromPoint(x, y);
      if (!inner || inner === found) break;
      found = inner;
    }
    return found;
  }

  // --- texts beside files --------------------------------------------------------------------------------

  /** Kinds of text that are handed on. */
  const TEXTS = ['text/plain', 'text/html', 'text/uri-list'];
  const PICTURES =
    'img, picture, source, svg, image, object, embed, iframe, video, audio, link, style, script';

  /** In Firefox, the page's own objects; a page can read only what one of its functions has put into a
   * transfer.  Take these functions now, before the page can replace them. @type {any} */
  const page = 'wrappedJSObject' in window ? window.wrappedJSObject : undefined;
  const { DataTransfer: Transfer, DataTransferItemList: Items } = page ?? globalThis;
  const itemsIn = Object.getOwnPropertyDescriptor(Transfer.prototype, 'items')?.get;
  const { add } = Items.prototype, { setData } = Transfer.prototype;

  /** What the page may read.
   * @param {File[]} files
   * @param {Map<string, string>} texts
   * @returns {DataTransfer} */
  function transferOf(files, texts) {
    const transfer = new Transfer(), items = Reflect.apply(/** @type {any} */ (itemsIn), transfer, []);
    for (const file of files) Reflect.apply(add, items, [page ? ownFile(file) : file]);
    for (const text of texts) Reflect.apply(setData, transfer, text);
    return transfer;
  }

  /** A file of the page's own, in Firefox.
   * @param {File} file */
  function ownFile(file) {
    const copy = cloneInto(file, window);
    if (settled.has(file)) settled.add(XPCNativeWrapper(copy));
    return copy;
  }

  /** @param {DataTransfer} clipboardData
   * @returns {ClipboardEvent} */
  function pasteOf(clipboardData) {
    const how = { bubbles: true, composed: true, cancelable: true };
    const event = new ClipboardEvent('paste', { ...how, clipboardData });
    // Firefox makes one that holds nothing.
    if (page) Object.defineProperty(event.wrappedJSObject, 'clipboardData', { value: clipboardData });
    return event;
  }

  /** The texts of a drop or paste.
   * @param {DataTransfer | null} transfer
   * @returns {Map<string, string>} */
  function textsOf(transfer) {
    const texts = TEXTS.map((kind) => (
      /** @type {[string, string]} */ ([kind, transfer?.getData(kind) ?? ''])));
    return new Map(texts.filter(([, text]) => text));
  }

  /** The texts that may go on beside photos.  Pictures in HTML and addresses are left out: they may be the
   * originals again.
   * @param {DataTransfer | null} transfer
   * @returns {Map<string, string>} */
  function textsBesidePhotos(transfer) {
    const texts = textsOf(transfer);
    const page = new DOMParser().parseFromString(texts.get('text/html') ?? '', 'text/html');
    texts.delete('text/uri-list');
    if (/^\s*(data|file|blob|https?):/i.test(texts.get('text/plain') ?? '')) texts.delete('text/plain');
    for (const picture of page.querySelectorAll(PICTURES)) picture.remove();
    for (const element of page.querySelectorAll('[style*="url" i], [background], [poster]')) {
      for (const name of ['style', 'background', 'poster']) element.removeAttribute(name);
    }
    if (page.body.textContent.trim()) texts.set('text/html', page.body.getHTML());
    else texts.delete('text/html');
    return texts;
  }

  // --- what the browser itself would have put in ---------------------------------------------------------

  const TAGS = new Set([
    ...'a b blockquote br caption code col colgroup dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i'.split(' '),
    ...'img ins li ol p pre s small span strong sub sup table tbody td tfoot th thead tr u ul'.split(' '),
  ]);
  const ATTRIBUTES = ['alt', 'colspan', 'rowspan', 'start', 'title', 'width', 'height'];
  const SAFE_LINK = /^(https?:|mailto:)/i, SAFE_PICTURE = /^(https?:|data:image\/(?!svg))/i;

  /** HTML without scripts, as the browser pastes it: known elements, and no attribute that does anything.
   * @param {string} html
   * @returns {DocumentFragment} */
  function harmless(html) {
    const parsed = new DOMParser().parseFromString(html, 'text/html');
    const result = document.createDocumentFragment();
    const copy = (/** @type {Node} */ from, /** @type {Node} */ to) => {
      for (const node of from.childNodes) {
        if (node.nodeType === Node.TEXT_NODE) to.appendChild(document.createTextNode(node.textContent ?? ''));
        if (!(node instanceof Element) || ['script', 'style', 'template'].includes(node.localName)) continue;
        if (!TAGS.has(node.localName)) { copy(node, to); continue; }
        const element = document.createElement(node.localName);
        for (const name of ATTRIBUTES) {
          if (node.hasAttribute(name)) element.setAttribute(name, node.getAttribute(name) ?? '');
        }
        const link = node.getAttribute('href') ?? '', picture = node.getAttribute('src') ?? '';
        if (node.localName === 'a' && SAFE_LINK.test(link)) element.setAttribute('href', link);
        if (node.localName === 'img' && SAFE_PICTURE.test(picture)) element.setAttribute('src', picture);
        copy(node, element);
        to.appendChild(element);
      }
    };
    copy(parsed.body, result);
    return result;
  }

  /** Put in what was pasted or dropped, where the page has not: our events have no effect of their own.
   * @param {Element} target
   * @param {File[]} files
   * @param {Map<string, string>} texts
   * @param {() => void} [place] puts the caret where it belongs
   * @returns {Promise<boolean>} whether there was a place for it */
  async function insert(target, files, texts, place = () => {}) {
    const text = texts.get('text/plain') ?? '';
    if (target.matches('textarea, input')) {
      const field = /** @type {HTMLTextAreaElement} */ (target);
      if (!text || field.disabled || field.readOnly) return false;
      if (!await focused(field)) return false;
      return document.execCommand('insertText', false, text);
    }
    const editor = target instanceof HTMLElement && target.isContentEditable ? target : null;
    if (!editor) return false;
    const html = texts.get('text/html'), content = html ? harmless(html) : document.createDocumentFragment();
    if (!html && text) content.append(text);
    for (const file of files.filter(({ type }) => type.startsWith('image/'))) {
      const picture = document.createElement('img');
      picture.src = await addressOf(file);
      content.append(picture);
    }
    if (!content.hasChildNodes()) return false;
    const holder = document.createElement('div');
    holder.append(content);
    if (!await focused(editor)) return false;
    place();
    return document.execCommand('insertHTML', false, holder.getHTML());
  }

  /** Give the focus to an element, which has none to take while the dialog is above the page.
   * @param {HTMLElement} element
   * @returns {Promise<boolean>} */
  async function focused(element) {
    for (let tries = 40; tries; tries -= 1) {
      if (!element.contains(document.activeElement)) element.focus();
      if (element.contains(document.activeElement)) return true;
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    return false;
  }

  /** @param {number} x
   * @param {number} y */
  function putCaret(x, y) {
    const place = document.caretPositionFromPoint?.(x, y);
    if (place) getSelection()?.collapse(place.offsetNode, place.offset);
  }

  // --- inputs --------------------------------------------------------------------------------------------

  /** Finds the input again if the page has replaced it meanwhile.
   * @param {HTMLInputElement} input
   * @returns {() => HTMLInputElement} */
  function finder(input) {
    if (!input.isConnected) return () => input;
    const root = /** @type {Document | ShadowRoot} */ (input.getRootNode());
    const place = [...root.querySelectorAll('input[type=file]')].indexOf(input);
    return () => {
      if (input.isConnected) return input;
      const there = /** @type {HTMLInputElement[]} */ ([...root.querySelectorAll('input[type=file]')]);
      return there.find((other) => input.id && other.id === input.id)
        ?? there.find((other) => input.name && other.name === input.name && other.accept === input.accept)
        ?? there.find((other, i) => i === place && other.accept === input.accept) ?? input;
    };
  }

  /** @param {HTMLInputElement} input
   * @param {File[]} files */
  function putInto(input, files) {
    input.files = transferOf(input.multiple ? files : files.slice(0, 1), new Map()).files;
    settled.add(input.files);
    send(input, new Event('input', { bubbles: true, composed: true }));
    send(input, new Event('change', { bubbles: true }));
  }

  /** @param {HTMLInputElement} input
   * @param {File[]} files
   * @returns {Upload} */
  function toInput(input, files) {
    const find = finder(input);
    return {
      files,
      texts: new Map(),
      deliver: async (ready) => {
        const now = find();
        putInto(now, ready);
        return Boolean(now.form); // it is sent later, with its form
      },
      cancel: () => {
        const now = find();
        now.value = ''; // so that the same photo can be chosen again
        send(now, new Event('cancel', { bubbles: true }));
      },
    };
  }

  // --- drag and drop, paste ------------------------------------------------------------------------------

  /** @param {DragEvent} event
   * @param {File[]} files
   * @param {boolean} photos whether there are photos among the files
   * @returns {Upload} */
  function toDrop(event, files, photos) {
    const { clientX, clientY, screenX, screenY, ctrlKey, shiftKey, altKey, metaKey } = event;
    const how = {
      clientX, clientY, screenX, screenY, ctrlKey, shiftKey, altKey, metaKey, bubbles: true, composed: true,
      cancelable: true,
    };
    const first = /** @type {Element} */ (event.composedPath()[0]);
    const deepest = event.isTrusted ? elementAt(clientX, clientY) ?? first : first;
    const find = () => (deepest.isConnected ? deepest : elementAt(clientX, clientY) ?? document.body);
    return {
      files,
      texts: photos ? textsBesidePhotos(event.dataTransfer) : textsOf(event.dataTransfer),
      deliver: async (ready, texts) => {
        const target = find(), dataTransfer = transferOf(ready, texts);
        if (!send(target, new DragEvent('drop', { ...how, dataTransfer }))) return false;
        const input = /** @type {HTMLInputElement} */ (target);
        if (target.localName === 'input' && input.type === 'file' && !input.disabled) {
          putInto(input, ready);
          return true;
        }
        return insert(target, ready, texts, () => putCaret(clientX, clientY));
      },
      cancel: () => {
        send(find(), new DragEvent('dragleave', { ...how, dataTransfer: new DataTransfer() }));
      },
    };
  }

  /** @param {ClipboardEvent} event
   * @param {File[]} files
   * @param {boolean} photos whether there are photos among the files
   * @returns {Upload} */
  function toPaste(event, files, photos) {
    const first = /** @type {Element} */ (event.composedPath()[0]);
    const texts = photos ? textsBesidePhotos(event.clipboardData) : textsOf(event.clipboardData);
    const paste = async (/** @type {File[]} */ ready, /** @type {Map<string, string>} */ rest) => {
      const target = first.isConnected ? first : document.activeElement ?? document.body;
      const untouched = send(target, pasteOf(transferOf(ready, rest)));
      return untouched && insert(target, ready, rest);
    };
    return {
      files,
      texts,
      deliver: paste,
      // Of cells of a table and their picture, the text goes on without the picture.
      cancel: () => { if (photos && texts.size) paste([], texts); },
    };
  }

  globalThis.clip2protect = {
    ...globalThis.clip2protect, makeMark, own, settled, toInput, toDrop, toPaste, textsOf, rootIn,
  };
})();
