// Runs in the page's own world, before the page's scripts.  It knows no token, no address and no rule.  It
// names nodes to `catch.js` whose events never reach the window, and sends files of showOpenFilePicker
// through an input, where they are caught like any others.  A page that tampers with it gets less, never
// more.

(() => {
  const LOOK = 'clip2protect-look';
  // Take the browser's functions now, before the page can replace them.
  const { apply } = Reflect, { create, defineProperty, getOwnPropertyDescriptor } = Object;
  const Mouse = MouseEvent, Plain = Event, Transfer = DataTransfer, Refusal = DOMException, Wrapper = Proxy;
  const Later = Promise, later = Later.prototype.then;
  const dispatch = EventTarget.prototype.dispatchEvent, listen = EventTarget.prototype.addEventListener;
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

  /** Name a node to `catch.js`.
   * @param {any} node */
  function look(node) {
    try {
      apply(dispatch, view, [new Mouse(LOOK, bare('relatedTarget', node))]);
      // The first event reaches the window only; the second reaches listeners inside a shadow tree.
      apply(dispatch, node, [new Plain(LOOK, bare('composed', true))]);
    } catch {
      // It is no node.
    }
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
  precedeSetter(HTMLElement.prototype, 'onchange');
  precedeSetter(HTMLElement.prototype, 'oninput');

  // --- showOpenFilePicker ----------------------------------------------------------------------------------

  /** Send files through an input that only we hold.
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
      const result = [], list = apply(filesOf, input, []);
      for (let i = 0; i < apply(lengthOf, list, []); i += 1) push(result, apply(fileAt, list, [i]));
      return result;
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

  /** The files after protection; the same list where it holds no photo.
   * @param {any[]} files */
  async function route(files) {
    return holdsPhoto(files) ? throughInput(files) : files;
  }

  const kindOf = getter(Blob.prototype, 'type'), test = RegExp.prototype.exec;
  const UNSAID = /^(application\/octet-stream)?$/, IMAGE = /^image\/(?!svg)/;
  const ENDINGS = /\.(jpe?g|jfif|pjpeg|png|apng|webp|gif|bmp|avif|hei[cf]|tiff?|jxl|dng|cr2|cr3|nef|arw)$/i;

  /** The rule of `photo-files.js`, in doubt yes.  Without a photo, the event of the input would not be
   * caught.
   * @param {any[]} files */
  function holdsPhoto(files) {
    for (let i = 0; i < files.length; i += 1) {
      const kind = apply(kindOf, files[i], []), name = apply(nameOf, files[i], []);
      const svg = apply(test, /^image\/svg/, [kind]);
      const image = apply(test, IMAGE, [kind]) || apply(test, ENDINGS, [name]) || apply(test, UNSAID, [kind]);
      if (image && !svg) return true;
    }
    return false;
  }

  replace(view, 'showOpenFilePicker', (native, self, given) => (
    apply(later, apply(native, self, given), [protect])));

  // --- navigator.clipboard.read --------------------------------------------------------------------------

  const Named = File;

  /** @param {any} blob */
  async function protectCopied(blob) {
    const files = [new Named([blob], 'image', bare('type', apply(kindOf, blob, [])))];
    return holdsPhoto(files) ? (await throughInput(files))[0] : blob;
  }

  if (view.ClipboardItem) {
    replace(ClipboardItem.prototype, 'getType', (native, self, given) => (
      apply(later, apply(native, self, given), [protectCopied])));
  }

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
