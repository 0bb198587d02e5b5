// Hands files to the page as if the user had chosen, dropped or pasted them just now.  It runs in a world of
// its own, where the page's changes to its objects have no effect.

(() => {
  /** Our own events.  Our scripts in all frames see the mark, because two of them may watch the same node.  A
   * page cannot
   * see or set it: an object of the browser has other properties in every world. */
  const MINE = Symbol.for('clip2protect');
  const own = {
    /** @param {any} event */
    add(event) { event[MINE] = true; },
    /** @param {any} event
     * @returns {boolean} */
    has: (event) => event[MINE] === true,
  };

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

  /** @param {File[]} files
   * @param {Map<string, string>} [texts]
   * @returns {DataTransfer} */
  function transferOf(files, texts = new Map()) {
    const transfer = new DataTransfer();
    for (const file of files) transfer.items.add(file);
    for (const [kind, text] of texts) transfer.setData(kind, text);
    return transfer;
  }

  /** The plain text that comes with the files.  HTML and addresses are left out: they may hold the original
   * again.
   * @param {DataTransfer} transfer
   * @returns {Map<string, string>} */
  function textsOf(transfer) {
    const text = transfer.getData('text/plain');
    return new Map(text && !/^\s*(data|file|blob|https?):/i.test(text) ? [['text/plain', text]] : []);
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
    input.files = transferOf(input.multiple ? files : files.slice(0, 1)).files;
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
      deliver: (ready) => putInto(find(), ready),
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
   * @returns {Upload} */
  function toDrop(event, files) {
    const { clientX, clientY, screenX, screenY, ctrlKey, shiftKey, altKey, metaKey } = event;
    const how = {
      clientX, clientY, screenX, screenY, ctrlKey, shiftKey, altKey, metaKey, bubbles: true, composed: true,
      cancelable: true,
    };
    const texts = event.dataTransfer ? textsOf(event.dataTransfer) : undefined;
    const first = /** @type {Element} */ (event.composedPath()[0]);
    const deepest = event.isTrusted ? elementAt(clientX, clientY) ?? first : first;
    const find = () => (deepest.isConnected ? deepest : elementAt(clientX, clientY) ?? document.body);
    return {
      files,
      deliver: (ready) => {
        const target = find(), dataTransfer = transferOf(ready, texts);
        const untouched = send(target, new DragEvent('drop', { ...how, dataTransfer }));
        const input = /** @type {HTMLInputElement} */ (target);
        const takes = target.localName === 'input' && input.type === 'file' && !input.disabled;
        if (untouched && takes) putInto(input, ready);
      },
      cancel: () => {
        send(find(), new DragEvent('dragleave', { ...how, dataTransfer: new DataTransfer() }));
      },
    };
  }

  /** @param {ClipboardEvent} event
   * @param {File[]} files
   * @returns {Upload} */
  function toPaste(event, files) {
    const texts = event.clipboardData ? textsOf(event.clipboardData) : undefined;
    const first = /** @type {Element} */ (event.composedPath()[0]);
    return {
      files,
      deliver: (ready) => {
        const target = first.isConnected ? first : document.activeElement ?? document.body;
        const how = { bubbles: true, composed: true, cancelable: true };
        send(target, new ClipboardEvent('paste', { ...how, clipboardData: transferOf(ready, texts) }));
      },
      cancel: () => {},
    };
  }

  globalThis.clip2protect = { ...globalThis.clip2protect, own, toInput, toDrop, toPaste, rootIn };
})();
