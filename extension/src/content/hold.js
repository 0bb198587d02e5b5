// Holds files back until the user has decided about the photos in them.  If anything goes wrong, the page
// gets no file.

(() => {
  if (globalThis.clip2protect?.started) return; // put into a page that has our scripts

  const { kindNow, kindLater, read, fileOf, photosInText, photosInBytes, lettersOf } = clip2protect;
  const { notice, hideAll, settled } = clip2protect;
  /** Milliseconds that the dialog may take to appear, once it is its turn. */
  const PATIENCE = 20_000;
  /** Milliseconds after which a page that wants the files has looked at them. */
  const LOOK = 500;
  /** Bytes of a text that are searched at once; a larger one is held back first. */
  const MUCH = 8 << 20;

  // --- asking the user -----------------------------------------------------------------------------------

  /** @typedef {import('../common/types.js').Decision} Decision */

  /** An upload that waits for the dialog.
   * @typedef {{meet: (port: chrome.runtime.Port) => void, begin: () => void}} Waiting */
  /** Ticket -> its upload. @type {Map<string, Waiting>} */
  const waiting = new Map();
  /** What ends each upload that has no answer yet. @type {Set<() => void>} */
  const unanswered = new Set();

  chrome.runtime.onConnect.addListener((port) => {
    const upload = port.sender?.id === chrome.runtime.id ? waiting.get(port.name) : undefined;
    if (!upload) return port.disconnect();
    waiting.delete(port.name);
    upload.meet(port);
  });

  chrome.runtime.onMessage.addListener((message, sender) => {
    if (sender.id === chrome.runtime.id && message?.type === 'turn') waiting.get(message.ticket)?.begin();
  });

  /** Show photos to the user.
   * @param {File[]} files
   * @param {boolean} byUser
   * @returns {Promise<Decision[] | null>} null: cancelled, or the dialog went away */
  async function consult(files, byUser) {
    const parts = [...crypto.getRandomValues(new Uint32Array(4))];
    const ticket = parts.map((part) => part.toString(16).padStart(8, '0')).join('-');
    let end = () => {};
    try {
      return await new Promise((resolve, reject) => {
        unanswered.add(end = () => resolve(null));
        /** @type {ReturnType<typeof setTimeout> | undefined} */
        let timer;
        const begin = () => {
          timer ??= setTimeout(() => reject(new Error('no dialog')), PATIENCE);
        };
        const meet = (/** @type {chrome.runtime.Port} */ port) => {
          begin();
          clearTimeout(timer);
          port.onDisconnect.addListener(() => resolve(null));
          port.onMessage.addListener((message) => {
            if (message.type !== 'deliver' && message.type !== 'cancel') return;
            resolve(message.type === 'deliver' ? message.decisions : null);
            port.disconnect(); // so the dialog knows that we have its answer
          });
          port.postMessage({ type: 'files', files });
        };
        waiting.set(ticket, { meet, begin });
        chrome.runtime.sendMessage({ type: 'open', ticket, byUser }).then((answer) => {
          if (!answer || !('ok' in answer)) throw new Error('refused');
          if (answer.ok === 'shown') begin();
        }).catch(reject);
      });
    } finally {
      waiting.delete(ticket);
      unanswered.delete(end);
      // Whatever happened, nothing of the upload stays: not its cover above the page, not its jobs.
      chrome.runtime.sendMessage({ type: 'over', ticket }).catch(() => {});
    }
  }

  /** End all uploads of this page, which goes: the browser may keep it, with its dialog, and go back to it.
   * Meanwhile the dialog would block those of the next page. */
  function leave() {
    for (const end of unanswered) end();
    hideAll();
  }

  // --- photos in files and texts -------------------------------------------------------------------------

  /** Photos in a file, and the file that the page gets once their results are there.
   * @typedef {{photos: File[], rebuild: (results: Map<File, File | null>) => Promise<File[]>}} Holder */

  /** Whether a file is a photo or holds one.  If that cannot be told at once, it counts as one.
   * @param {File} file
   * @returns {boolean} */
  function mayHoldPhotos(file) {
    if (settled.has(file)) return false;
    const kind = kindNow(file);
    if (kind !== 'text') return kind !== 'other';
    const letters = file.size <= MUCH ? read(file) : undefined;
    return letters === undefined || doubtful(() => photosInBytes(letters, new Map()));
  }

  /** @param {Map<string, string>} texts
   * @returns {boolean} whether a photo is in one of them */
  const textsHoldPhotos = (texts) => [...texts.values()].some((text) => doubtful(() => photosInText(text)));

  /** Whether a search finds photos.  One that fails counts as one that does: the event is held back.
   * @param {() => {photos: File[]}} search
   * @returns {boolean} */
  function doubtful(search) {
    try { return search().photos.length > 0; } catch { return true; }
  }

  /** @param {File} file
   * @param {Map<string, File>} known photos in texts, by their addresses
   * @returns {Promise<Holder>} */
  async function holderOf(file, known) {
    const kind = settled.has(file) ? 'other' : await kindLater(file);
    if (kind === 'photo') {
      // The server goes by the bytes, where the type says something else.
      const { name, type, lastModified } = file;
      const photo = /^(image\/|$)/.test(type) ? file : new File([file], name, { lastModified });
      return {
        photos: [photo],
        rebuild: async (results) => {
          const result = results.get(photo) ?? null;
          return result === null ? [] : [result === photo ? file : result];
        },
      };
    }
    if (kind === 'text') {
      const { photos, rebuild } = photosInBytes(await lettersOf(file), known);
      const { name, type, lastModified } = file;
      if (photos.length) {
        return {
          photos,
          rebuild: async (results) => [new File([await rebuild(results)], name, { type, lastModified })],
        };
      }
    }
    return { photos: [], rebuild: async () => [file] };
  }

  /** @param {Decision} decision
   * @param {File} original
   * @returns {File | null} */
  function resultOf(decision, original) {
    if (decision.use === 'original') return original;
    return decision.use === 'protected' ? fileOf(original, decision.photo) : null;
  }

  // --- holding back --------------------------------------------------------------------------------------

  /** Hold files back until the user has decided.
   * @param {Upload} upload
   * @param {boolean} byUser whether a person brought them, not a script
   * @returns {Promise<boolean>} whether the page got files */
  async function hold(upload, byUser) {
    try {
      /** @type {Map<string, File>} */
      const known = new Map();
      const holders = await Promise.all(upload.files.map((file) => holderOf(file, known)));
      const texts = [...upload.texts].map(([kind, text]) => ({ kind, ...photosInText(text, known) }));
      const photos = [...new Set([...holders, ...texts].flatMap((holder) => holder.photos))];
      const decisions = photos.length ? await consult(photos, byUser) : [];
      if (!decisions || decisions.length !== photos.length) return upload.cancel(), false;
      const results = new Map(photos.map((photo, i) => [photo, resultOf(decisions[i], photo)]));
      const ready = (await Promise.all(holders.map(({ rebuild }) => rebuild(results)))).flat();
      const left = photos.length > 0 && [...results.values()].every((result) => result === null);
      if (!ready.length && (left || !texts.length)) return upload.cancel(), false;
      const rebuilt = new Map(await Promise.all(texts.map(async ({ kind, rebuild }) => (
        /** @type {[string, string]} */ ([kind, await rebuild(results)])))));
      for (const file of ready) settled.add(file);
      await handOver(upload, ready, rebuilt);
      return true;
    } catch {
      upload.cancel();
      notice(words('notice_failed', 'The photo was not handed over: reload this page and try again.'));
      return false;
    }
  }

  /** Give files and texts to the page, and say so if it does not even look at them.
   * @param {Upload} upload
   * @param {File[]} ready
   * @param {Map<string, string>} texts */
  async function handOver(upload, ready, texts) {
    const looked = clip2protect.watchLooks();
    if (await upload.deliver(ready, texts)) return;
    setTimeout(() => {
      if (!looked()) notice(words('notice_untaken', 'The page did not take the photo.'));
    }, LOOK);
  }

  /** After an update of the extension, a script in an old page cannot look up its texts.
   * @param {string} key
   * @param {string} otherwise */
  function words(key, otherwise) {
    try { return chrome.i18n.getMessage(key) || otherwise; } catch { return otherwise; }
  }

  globalThis.clip2protect = {
    ...globalThis.clip2protect, hold, leave, mayHoldPhotos, textsHoldPhotos, words,
  };
})();
