// Shows the dialog above the page, in a frame that the page cannot read, cover or click; and short notices.

(() => {
  if (globalThis.clip2protect?.started) return; // put into a page that has our scripts

  /** Milliseconds between two looks whether the extension is still there. */
  const BEAT = 1000;
  /** Ticket -> the element around the frame, and the dialog in it.
   * @type {Map<string, {host: HTMLElement, dialog: HTMLDialogElement}>} */
  const shown = new Map();

  /** An element of the page with a closed shadow root.
   * @param {string} css
   * @returns {{host: HTMLElement, root: ShadowRoot}} */
  function makeHost(css) {
    const host = document.createElement('div');
    host.style.cssText = 'all: initial !important; display: block !important;';
    const root = host.attachShadow({ mode: 'closed' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
    return { host, root };
  }

  /** Show the dialog.  A modal dialog lies above all others in the browser's top layer; those below are
   * inert.
   * @param {string} ticket
   * @returns {Promise<void>} the frame has loaded, be it the dialog or an error */
  function show(ticket) {
    const { host, root } = makeHost(`
      dialog { all: unset; position: fixed; inset: 0; display: block; background: rgb(0 0 0 / .55); }
      dialog::backdrop { background: none; }
      dialog.small { inset: auto 12px 12px auto; width: min(336px, 100vw - 24px); height: 84px;
        background: none; }
      dialog.small iframe { border-radius: 12px; }
      iframe { position: absolute; inset: 0; width: 100%; height: 100%; border: 0; color-scheme: normal; }`);
    const dialog = document.createElement('dialog'), frame = document.createElement('iframe');
    frame.src = chrome.runtime.getURL(`src/dialog/dialog.html#${ticket}`);
    frame.allow = '';
    // The dialog in the frame handles Esc.
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    // Not where it only became small, or large again.
    dialog.addEventListener('close', () => {
      if (!dialog.open && !dialog.matches(':popover-open')) hide(ticket);
    });
    dialog.append(frame);
    root.append(dialog);
    document.documentElement.append(host);
    dialog.showModal();
    shown.set(ticket, { host, dialog });
    // A dialog whose extension is gone does nothing more: it must not cover the page.
    const beat = setInterval(() => {
      if (!isAlive()) hide(ticket);
      if (!shown.has(ticket)) clearInterval(beat);
    }, BEAT);
    return new Promise((resolve) => {
      frame.addEventListener('load', () => { frame.focus(); resolve(); }, { once: true });
    });
  }

  /** Make the dialog a small card in the corner, beside which the page can be used, or large again.  Both lie
   * in the browser's top layer.
   * @param {string} ticket
   * @param {boolean} small
   * @returns {boolean} whether it has that size now */
  function resize(ticket, small) {
    const { dialog } = shown.get(ticket) ?? {};
    if (!dialog) return false;
    if (!small) {
      if (dialog.matches(':popover-open')) dialog.hidePopover();
      if (!dialog.open) dialog.showModal();
      dialog.classList.remove('small');
      /** @type {HTMLElement} */ (dialog.firstElementChild).focus();
      return true;
    }
    dialog.classList.add('small');
    dialog.close();
    dialog.popover = 'manual';
    dialog.showPopover();
    // Below a modal dialog of the page, nobody could press it.
    const { left, top, width, height } = dialog.getBoundingClientRect();
    const root = /** @type {ShadowRoot} */ (dialog.getRootNode());
    if (root.elementFromPoint(left + width / 2, top + height / 2) === dialog.firstElementChild) return true;
    resize(ticket, false);
    return false;
  }

  /** @param {string} ticket */
  function hide(ticket) {
    shown.get(ticket)?.host.remove();
    shown.delete(ticket);
  }

  function hideAll() {
    for (const ticket of shown.keys()) hide(ticket);
  }

  /** Whether the extension that these scripts belong to is there. */
  function isAlive() {
    try { return Boolean(chrome.runtime.id); } catch { return false; }
  }

  /** The notice that is shown. @type {HTMLElement | undefined} */
  let latest;

  /** Show a text at the edge of the page for ten seconds.  It replaces the one before.
   * @param {string} text */
  function notice(text) {
    const { host, root } = makeHost(`
      p { all: unset; position: fixed; z-index: 2147483647; right: 16px; bottom: 16px; max-width: 24rem;
        padding: 14px 18px; border-radius: 10px; background: #1b2026; color: #fff;
        font: 15px/1.45 system-ui, sans-serif;
        box-shadow: 0 4px 24px rgb(0 0 0 / .35); }`);
    const words = document.createElement('p');
    words.setAttribute('role', 'alert');
    words.textContent = text;
    root.append(words);
    latest?.remove();
    latest = host;
    document.documentElement.append(host);
    setTimeout(() => host.remove(), 10_000);
  }

  chrome.runtime.onMessage.addListener((message, sender, answer) => {
    if (sender.id !== chrome.runtime.id || window !== window.top) return undefined;
    if (typeof message?.ticket !== 'string') return undefined;
    if (message.type === 'show') {
      show(message.ticket).then(() => answer(true));
      return true; // the answer comes later
    }
    if (message.type === 'size') answer(resize(message.ticket, message.small === true));
    if (message.type === 'hide') hide(message.ticket);
    return undefined;
  });

  globalThis.clip2protect = { ...globalThis.clip2protect, notice, hideAll, isAlive };
})();
