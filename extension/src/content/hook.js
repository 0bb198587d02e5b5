// Runs among the page's own scripts, before them.  It knows no token, no address and no rule: it only calls the catching
// script's attention to nodes whose events never reach the window, and sends what is picked by showOpenFilePicker through
// an input like any other.  A page that tampers with it gets less, never more.

(() => {
  const LOOK = 'clip2protect-look';
  // What is needed later is taken now, while it is still the browser's own.
  const { apply } = Reflect, { create, defineProperty, getOwnPropertyDescriptor } = Object;
  const Mouse = MouseEvent, Plain = Event, Transfer = DataTransfer, Refusal = DOMException, Wrapper = Proxy, Later = Promise;
  const later = Later.prototype.then, dispatch = EventTarget.prototype.dispatchEvent, listen = EventTarget.prototype.addEventListener;
  const makeElement = Document.prototype.createElement, addItem = DataTransferItemList.prototype.add;
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
  const filesOf = getter(HTMLInputElement.prototype, 'files'), setFiles = setter(HTMLInputElement.prototype, 'files');
  const setKind = setter(HTMLInputElement.prototype, 'type'), setMany = setter(HTMLInputElement.prototype, 'multiple');
  const filesIn = getter(DataTransfer.prototype, 'files'), itemsIn = getter(DataTransfer.prototype, 'items');
  const nameOf = getter(File.prototype, 'name');
  const lengthOf = getter(FileList.prototype, 'length'), fileAt = FileList.prototype.item;

  /** An option that nothing else can be read from.
   * @param {string} name
   * @param {any} value
   * @returns {any} */
  function bare(name, value) {
    const options = create(null);
    options[name] = value;
    return options;
  }

  /** Add to a list without what the page may have made of lists.
   * @param {any[]} list
   * @param {any} value */
  const push = (list, value) => { defineProperty(list, list.length, { value, enumerable: true, writable: true, configurable: true }); };

  /** @param {any} node */
  function look(node) {
    try {
      apply(dispatch, view, [new Mouse(LOOK, bare('relatedTarget', node))]);
      // A node deep in shadow trees is named so only outside; inside, the tree's own watch hears this.
      apply(dispatch, node, [new Plain(LOOK, bare('composed', true))]);
    } catch {
      // It is no node: nothing to look at.
    }
  }

  /** Do something before a function of the browser's runs; to the page it looks like the same function.
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
   * @param {(native: any, self: any, given: any[]) => unknown} run */
  function replace(object, name, run) {
    const there = getOwnPropertyDescriptor(object, name);
    if (typeof there?.value !== 'function') return;
    const handler = { __proto__: null, apply: run };
    defineProperty(object, name, { ...there, value: new Wrapper(there.value, handler) });
  }

  /** @param {any} object
   * @param {string} name */
  function precedeSetter(object, name) {
    const there = getOwnPropertyDescriptor(object, name);
    if (!there?.set) return;
    /** @type {ProxyHandler<any>} */
    const handler = Object.assign(create(null), {
      apply: (/** @type {any} */ native, /** @type {any} */ self, /** @type {any[]} */ given) => {
        look(self);
        return apply(native, self, given);
      },
    });
    defineProperty(object, name, { ...there, set: new Wrapper(there.set, handler) });
  }

  // --- nodes whose events never reach the window -----------------------------------------------------------

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
  precedeSetter(HTMLElement.prototype, 'onchange');
  precedeSetter(HTMLElement.prototype, 'oninput');

  // --- showOpenFilePicker ----------------------------------------------------------------------------------

  /** Send files the way of an input that nobody else holds.
   * @param {any[]} files
   * @returns {Promise<any[]>} */
  function throughInput(files) {
    const input = apply(makeElement, page, ['input']), transfer = new Transfer();
    apply(setKind, input, ['file']);
    apply(setMany, input, [true]);
    for (let i = 0; i < files.length; i += 1) apply(addItem, apply(itemsIn, transfer, []), [files[i]]);
    look(input);
    apply(setFiles, input, [apply(filesIn, transfer, [])]);
    const now = () => {
      /** @type {any[]} */
      const found = [], list = apply(filesOf, input, []);
      for (let i = 0; i < apply(lengthOf, list, []); i += 1) push(found, apply(fileAt, list, [i]));
      return found;
    };
    return new Later((resolve, reject) => {
      let caught = true;
      apply(listen, input, ['change', () => (caught ? reject(gone()) : resolve(now()))]);
      apply(listen, input, ['cancel', () => reject(gone())]);
      apply(dispatch, input, [new Plain('change', bare('bubbles', true))]);
      caught = false;
    });
  }

  const gone = () => new Refusal('The user aborted a request.', 'AbortError');

  /** A handle of a file that is on no disk: it can be read, and nothing else.
   * @param {any} file */
  function handleOf(file) {
    const refuse = () => Later.reject(new Refusal('Not allowed', 'NotAllowedError'));
    const grant = (/** @type {string} */ state) => () => new Later((resolve) => resolve(state));
    const parts = {
      kind: 'file', name: apply(nameOf, file, []), getFile: () => new Later((resolve) => resolve(file)),
      createWritable: refuse, move: refuse, remove: refuse,
      isSameEntry: (/** @type {any} */ other) => new Later((resolve) => resolve(other === handle)), queryPermission: grant('granted'),
      requestPermission: grant('granted'),
    };
    const handle = create(view.FileSystemFileHandle.prototype);
    for (const name in parts) defineProperty(handle, name, { value: parts[/** @type {keyof typeof parts} */ (name)] });
    return handle;
  }

  const readHandle = view.FileSystemFileHandle?.prototype.getFile;

  /** @param {any} handles
   * @returns {Promise<any[]>} */
  async function protect(handles) {
    /** @type {any[]} */
    const files = [], result = /** @type {any[]} */ ([]);
    for (let i = 0; i < handles.length; i += 1) push(files, await apply(readHandle, handles[i], []));
    const ready = await route(files);
    if (ready === files) return handles;
    for (let i = 0; i < ready.length; i += 1) push(result, handleOf(ready[i]));
    return result;
  }

  /** The same list comes back where there is no photo in it: the catching script lets the event pass.
   * @param {any[]} files */
  async function route(files) {
    return holdsPhoto(files) ? throughInput(files) : files;
  }

  const kindOf = getter(Blob.prototype, 'type'), test = RegExp.prototype.exec;
  const UNSAID = /^(application\/octet-stream)?$/, IMAGE = /^image\/(?!svg)/;
  const ENDING = /\.(jpe?g|jfif|pjpeg|png|apng|webp|gif|bmp|avif|hei[cf]|tiff?|jxl|dng|cr2|cr3|nef|arw)$/i;

  /** The catching script's own rule, in doubt yes: what it lets pass must not be sent its way.
   * @param {any[]} files */
  function holdsPhoto(files) {
    for (let i = 0; i < files.length; i += 1) {
      const kind = apply(kindOf, files[i], []), name = apply(nameOf, files[i], []);
      const svg = apply(test, /^image\/svg/, [kind]);
      if (!svg && (apply(test, IMAGE, [kind]) || apply(test, ENDING, [name]) || apply(test, UNSAID, [kind]))) return true;
    }
    return false;
  }

  replace(view, 'showOpenFilePicker', (native, self, given) => apply(later, apply(native, self, given), [protect]));

  // --- navigator.clipboard.read ------------------------------------------------------------------------------

  const Named = File;

  /** @param {any} blob */
  async function protectCopied(blob) {
    const files = [new Named([blob], 'image', bare('type', apply(kindOf, blob, [])))];
    return holdsPhoto(files) ? (await throughInput(files))[0] : blob;
  }

  if (view.ClipboardItem) {
    replace(ClipboardItem.prototype, 'getType', (native, self, given) => apply(later, apply(native, self, given), [protectCopied]));
  }

  // --- drop zones that ask for entries ---------------------------------------------------------------------

  const fileOf = DataTransferItem.prototype.getAsFile;

  /** What a drop that was made anew has in place of an entry: the file, and no way from there to the disk.
   * @param {any} file */
  function entryOf(file) {
    const name = text(apply(nameOf, file, []));
    const parts = {
      isFile: true, isDirectory: false, name, fullPath: `/${name}`, filesystem: null,
      file: (/** @type {any} */ done) => { apply(later, new Later((resolve) => resolve(file)), [done]); },
      getParent: (/** @type {any} */ _, /** @type {any} */ failed) => failed?.(new Refusal('Not found', 'NotFoundError')),
    };
    const entry = create(view.FileSystemFileEntry?.prototype ?? view.Object.prototype); // Chromium does not show that class
    for (const key in parts) defineProperty(entry, key, { value: parts[/** @type {keyof typeof parts} */ (key)] });
    return entry;
  }

  replace(DataTransferItem.prototype, 'webkitGetAsEntry', (native, self, given) => {
    const file = apply(fileOf, self, []);
    return apply(native, self, given) ?? (file && entryOf(file));
  });
  replace(DataTransferItem.prototype, 'getAsFileSystemHandle', (native, self, given) => {
    const file = apply(fileOf, self, []);
    const handed = apply(native, self, given);
    return apply(later, handed, [(/** @type {any} */ handle) => handle ?? (file && handleOf(file)), () => file && handleOf(file)]);
  });
})();
