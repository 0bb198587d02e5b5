// Runs in the page's own world, before the page's scripts.  It knows no token, no address and no rule.  It
// names nodes to `catch.js` whose events never reach the window.  It sends files that functions of the
// browser give through an input, where they are caught like any others.  A page that tampers with it gets
// less, never more.

(() => {
  // Take the browser's functions now, before the page can replace them.
  const { apply, construct } = Reflect;
  const { assign, create, defineProperty, getOwnPropertyDescriptor } = Object;
  const Mouse = MouseEvent, Plain = Event, Transfer = DataTransfer, Refusal = DOMException, Wrapper = Proxy;
  const Later = Promise, later = Later.prototype.then;
  const dispatch = EventTarget.prototype.dispatchEvent, listen = EventTarget.prototype.addEventListener;
  const makeElement = Document.prototype.createElement, addItem = DataTransferItemList.prototype.add;
  const unlisten = EventTarget.prototype.removeEventListener, prevent = Event.prototype.preventDefault;
  const text = String, page = document, view = window;
  /** @param {object} object
   * @param {string} name
   * @returns {any} */
  const getter = (object, name) => getOwnPropertyDescriptor(object, name)?.get;
  /** @param {object} object
   * @param {string} name
   * @returns {any} */
  const setter = (object, name) => getOwnPropertyDescriptor(object, name)?.set;
  const typeOf = getter(Event.prototype, 'type');
  const Input = HTMLInputElement.prototype;
  const filesOf = getter(Input, 'files'), setFiles = setter(Input, 'files');
  const setKind = setter(Input, 'type'), setMany = setter(Input, 'multiple');
  const filesIn = getter(DataTransfer.prototype, 'files'), itemsIn = getter(DataTransfer.prototype, 'items');
  const nameOf = getter(File.prototype, 'name');
  const lengthOf = getter(FileList.prototype, 'length'), fileAt = FileList.prototype.item;

  /** An object with one property and no prototype, which the page cannot have changed.
   * @param {string} name
   * @param {any} value
   * @returns {any} */
  function bare(name, value) {
    const options = create(null);
    options[name] = value;
    return options;
  }

  /** Add to a list without the page's own version of `push`.
   * @param {any[]} list
   * @param {any} value */
  const push = (list, value) => {
    defineProperty(list, list.length, { value, enumerable: true, writable: true, configurable: true });
  };

  /** @param {object} object
   * @param {Record<string, any>} values */
  function defineAll(object, values) {
    for (const name in values) defineProperty(object, name, { value: values[name] });
  }

  // --- catch.js ------------------------------------------------------------------------------------------

  /** A node in no document, by which `catch.js` and this script speak to each other.  The page has no way to
   * it, and a document that is opened anew leaves its listeners alone.  Its id is the name of the event by
   * which a node of the page is named. */
  const line = apply(makeElement, page, ['i']);
  const LOOK = `c${crypto.getRandomValues(new Uint32Array(3)).join('')}`;
  apply(setter(Element.prototype, 'id'), line, [LOOK]);
  /** Whether `catch.js` has answered; whether a newer hook does our work. */
  let met = false, ended = false;
  /** Whether the page has looked at files since they were handed to it. */
  let taken = false;

  /** Tell `catch.js` something about a node.
   * @param {string} kind
   * @param {any} node
   * @returns {boolean} whether it holds something back */
  function tell(kind, node) {
    const options = bare('relatedTarget', node);
    options.cancelable = true;
    try {
      return !apply(dispatch, line, [new Mouse(kind, options)]);
    } catch {
      return false; // it is no node
    }
  }

  /** Show ourselves to `catch.js`, whichever of the two comes first. */
  function meet() {
    if (met) return;
    const options = bare('relatedTarget', line);
    options.cancelable = true;
    met = !apply(dispatch, view, [new Mouse('clip2protect-here', options)]);
    if (met) apply(unlisten, view, ['clip2protect-where', meet, true]);
  }

  apply(listen, view, ['clip2protect-where', meet, true]);
  meet();
  apply(listen, line, ['end', () => { ended = true; }]);
  apply(listen, line, ['handing', () => { taken = false; }]);
  apply(listen, line, ['taken', (/** @type {Event} */ event) => { if (taken) apply(prevent, event, []); }]);

  /** Name a node to `catch.js`.
   * @param {any} node */
  function look(node) {
    tell('look', node);
    try {
      // This one reaches listeners inside a shadow tree, which hides the node from those outside.
      apply(dispatch, node, [new Plain(LOOK, bare('composed', true))]);
    } catch {
      // It is no node.
    }
  }

  // --- functions of the browser --------------------------------------------------------------------------

  const originals = new WeakMap(), getOriginal = originals.get, setOriginal = originals.set;

  /** A function that stands in for one of the browser, and shows the same text.
   * @param {any} native
   * @param {Record<string, any>} handler
   * @returns {any} */
  function standIn(native, handler) {
    const wrapper = new Wrapper(native, assign(create(null), handler));
    apply(setOriginal, originals, [wrapper, native]);
    return wrapper;
  }

  /** Do something before a function of the browser runs.  To the page it looks like the same function.
   * @param {any} object
   * @param {string} name
   * @param {(self: any, given: any[]) => void} before */
  function precede(object, name, before) {
    replace(object, name, (native, self, given) => {
      before(self, given);
      return apply(native, self, given);
    });
  }

  /** @param {any} object
   * @param {string} name
   * @param {(native: any, self: any, given: any[]) => unknown} run
   * @param {'value' | 'get' | 'set'} [part] of the property */
  function replace(object, name, run, part = 'value') {
    const there = object && getOwnPropertyDescriptor(object, name);
    if (typeof there?.[part] !== 'function' || !there.configurable) return;
    const handler = {
      apply: (/** @type {any} */ native, /** @type {any} */ self, /** @type {any[]} */ given) => (
        ended ? apply(native, self, given) : run(native, self, given)),
    };
    defineProperty(object, name, { ...there, [part]: standIn(there[part], handler) });
  }

  replace(Function.prototype, 'toString', (native, self, given) => (
    apply(native, apply(getOriginal, originals, [self]) ?? self, given)));

  // --- nodes whose events never reach the window -------------------------------------------------------

  precede(HTMLElement.prototype, 'click', look);
  precede(HTMLInputElement.prototype, 'showPicker', look);
  precede(EventTarget.prototype, 'addEventListener', (self, given) => {
    if (self && self !== view && (given[0] === 'change' || given[0] === 'input')) look(self);
  });
  precede(EventTarget.prototype, 'dispatchEvent', (self, given) => {
    let kind;
    try { kind = apply(typeOf, given[0], []); } catch { return; }
    if (kind === 'click' || kind === 'change' || kind === 'input') look(self);
  });
  for (const name of ['onchange', 'oninput', 'onsubmit']) {
    replace(HTMLElement.prototype, name, (native, self, given) => {
      look(self);
      return apply(native, self, given);
    }, 'set');
  }

  // --- inputs that are filled already --------------------------------------------------------------------

  replace(Input, 'files', (native, self, given) => {
    taken = true;
    look(self);
    return apply(native, self, given);
  }, 'get');
  replace(Input, 'files', (native, self, given) => {
    apply(native, self, given);
    tell('put', self);
  }, 'set');
  replace(HTMLFormElement.prototype, 'submit', (native, self, given) => {
    if (!tell('submit', self)) apply(native, self, given);
  });
  precede(HTMLFormElement.prototype, 'requestSubmit', look);
  view.FormData = standIn(FormData, {
    construct: (/** @type {any} */ native, /** @type {any[]} */ given, /** @type {any} */ target) => {
      if (given[0] && !ended) look(given[0]);
      return construct(native, given, target);
    },
  });
  defineProperty(FormData.prototype, 'constructor', { value: view.FormData });

  for (const name of ['files', 'items']) {
    replace(DataTransfer.prototype, name, (native, self, given) => {
      taken = true;
      return apply(native, self, given);
    }, 'get');
  }
  precede(DataTransfer.prototype, 'getData', () => { taken = true; });

  // --- documents that are opened anew ----------------------------------------------------------------------

  // Opening takes all listeners from the document and its window.  They must be back before the text that is
  // written runs.
  const Page = Document.prototype, write = Page.write;
  replace(Page, 'open', (native, self, given) => {
    const result = apply(native, self, given);
    tell('opened', self);
    return result;
  });
  for (const name of ['write', 'writeln']) {
    replace(Page, name, (native, self, given) => {
      try { apply(write, self, []); } catch { /* the page's own call fails likewise */ }
      tell('opened', self);
      return apply(native, self, given);
    });
  }

  // --- showOpenFilePicker ----------------------------------------------------------------------------------

  /** Send files through an input that only we hold.
   * @param {any[]} files
   * @returns {Promise<any[]>} the same list where it holds no photo */
  function throughInput(files) {
    const input = apply(makeElement, page, ['input']), transfer = new Transfer();
    apply(setKind, input, ['file']);
    apply(setMany, input, [true]);
    for (let i = 0; i < files.length; i += 1) apply(addItem, apply(itemsIn, transfer, []), [files[i]]);
    apply(setFiles, input, [apply(filesIn, transfer, [])]);
    const now = () => {
      /** @type {any[]} */
      const result = [], list = apply(filesOf, input, []);
      for (let i = 0; i < apply(lengthOf, list, []); i += 1) push(result, apply(fileAt, list, [i]));
      return result;
    };
    return new Later((resolve, reject) => {
      if (!met) return reject(gone());
      apply(listen, input, ['change', () => resolve(now())]);
      apply(listen, input, ['cancel', () => reject(gone())]);
      if (!tell('offer', input)) resolve(files);
    });
  }

  const gone = () => new Refusal('The user aborted a request.', 'AbortError');

  /** A handle of a file that is not on the disk.  It can only be read.
   * @param {any} file */
  function handleOf(file) {
    const refuse = () => Later.reject(new Refusal('Not allowed', 'NotAllowedError'));
    const grant = (/** @type {string} */ state) => () => new Later((resolve) => resolve(state));
    const parts = {
      kind: 'file', name: apply(nameOf, file, []), getFile: () => new Later((resolve) => resolve(file)),
      createWritable: refuse, move: refuse, remove: refuse,
      isSameEntry: (/** @type {any} */ other) => new Later((resolve) => resolve(other === handle)),
      queryPermission: grant('granted'), requestPermission: grant('granted'),
    };
    const handle = create(view.FileSystemFileHandle.prototype);
    defineAll(handle, parts);
    return handle;
  }

  const Handle = view.FileSystemFileHandle?.prototype, readHandle = Handle?.getFile;
  const ownRoot = view.StorageManager?.prototype.getDirectory, store = navigator.storage;
  const pathTo = view.FileSystemDirectoryHandle?.prototype.resolve;
  const changed = getter(File.prototype, 'lastModified'), sizeOf = getter(Blob.prototype, 'size');
  /** Handle -> what reading it gave, and the file that was read. */
  const readings = new WeakMap(), getReading = readings.get, setReading = readings.set;

  /** Whether a file lies in the page's own store, where only the page writes.
   * @param {any} handle */
  async function isPagesOwn(handle) {
    try {
      return (await apply(pathTo, await apply(ownRoot, store, []), [handle])) !== null;
    } catch {
      return false;
    }
  }

  /** Read a handle that the page has kept, was launched with, or has found in a folder.
   * @param {any} handle
   * @param {any} file */
  async function protectRead(handle, file) {
    if (await isPagesOwn(handle)) return file;
    const key = `${apply(changed, file, [])} ${apply(sizeOf, file, [])}`;
    const before = apply(getReading, readings, [handle]);
    if (before?.key === key) return before.result;
    const [result] = await throughInput([file]);
    const reading = bare('key', key);
    reading.result = result;
    apply(setReading, readings, [handle, reading]);
    return result;
  }

  replace(Handle, 'getFile', (native, self, given) => (
    apply(later, apply(native, self, given), [(/** @type {any} */ file) => protectRead(self, file)])));

  /** @param {any} handles
   * @returns {Promise<any[]>} */
  async function protect(handles) {
    /** @type {any[]} */
    const files = [], result = /** @type {any[]} */ ([]);
    for (let i = 0; i < handles.length; i += 1) push(files, await apply(readHandle, handles[i], []));
    const ready = await throughInput(files);
    if (ready === files) return handles;
    for (let i = 0; i < ready.length; i += 1) push(result, handleOf(ready[i]));
    return result;
  }

  replace(view, 'showOpenFilePicker', (native, self, given) => (
    apply(later, apply(native, self, given), [protect])));

  // --- navigator.clipboard -------------------------------------------------------------------------------

  const Named = File, kindOf = getter(Blob.prototype, 'type'), textIn = Blob.prototype.text;

  /** @param {any} blob */
  async function protectCopied(blob) {
    const copied = new Named([blob], 'copied', bare('type', apply(kindOf, blob, [])));
    const [result] = await throughInput([copied]);
    return result === copied ? blob : result;
  }

  replace(view.ClipboardItem?.prototype, 'getType', (native, self, given) => (
    apply(later, apply(native, self, given), [protectCopied])));
  replace(view.Clipboard?.prototype, 'readText', (native, self, given) => (
    apply(later, apply(native, self, given), [async (/** @type {string} */ copied) => {
      const blob = new Named([copied], 'copied', bare('type', 'text/html'));
      const result = await protectCopied(blob);
      return result === blob ? copied : apply(textIn, result, []);
    }])));

  // --- drop zones that ask for entries ---------------------------------------------------------------------

  const fileOf = DataTransferItem.prototype.getAsFile;

  /** The entry of a file in a drop that we made: it gives the file, and no way to the disk.
   * @param {any} file */
  function entryOf(file) {
    const name = text(apply(nameOf, file, []));
    const parts = {
      isFile: true, isDirectory: false, name, fullPath: `/${name}`, filesystem: null,
      file: (/** @type {any} */ done) => { apply(later, new Later((resolve) => resolve(file)), [done]); },
      getParent: (/** @type {any} */ _, /** @type {any} */ failed) => {
        failed?.(new Refusal('Not found', 'NotFoundError'));
      },
    };
    // Chromium does not show the class to scripts.
    const entry = create(view.FileSystemFileEntry?.prototype ?? view.Object.prototype);
    defineAll(entry, parts);
    return entry;
  }

  replace(DataTransferItem.prototype, 'webkitGetAsEntry', (native, self, given) => {
    const file = apply(fileOf, self, []);
    return apply(native, self, given) ?? (file && entryOf(file));
  });
  replace(DataTransferItem.prototype, 'getAsFileSystemHandle', (native, self, given) => {
    const file = apply(fileOf, self, []);
    const handed = apply(native, self, given);
    const ours = () => file && handleOf(file);
    return apply(later, handed, [(/** @type {any} */ handle) => handle ?? ours(), ours]);
  });
})();
