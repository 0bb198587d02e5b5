// The server's state in words, and pairing.  Popup, settings and first page show it.

/** @import {ServerState} from './types.js' */

import { $, make } from './dom.js';
import { troubleOf } from './errors.js';
import { say, wordsOf } from './i18n.js';
import { tell } from './messages.js';
import { stored } from './storage.js';

/** Where the server may be.  The user may have told the browser to keep us out even there. */
const HERE = { origins: ['http://127.0.0.1/*', 'http://localhost/*'] };

const DOWN = { state: 'down', code: 'down', detail: '' };
const BARRED = { state: 'barred', code: 'barred', detail: '' };

/** @typedef {ServerState['state'] | 'looking' | 'barred'} State */

/** The field for the pairing code and its button.
 * @param {string} problem id of the element that says what is wrong with the code
 * @returns {HTMLElement[]} */
export function codeField(problem) {
  const input = make('input', {
    id: 'code', className: 'code', autocomplete: 'off', spellcheck: false, maxLength: 40, required: true,
    ariaLabel: say('pairing_code'),
  });
  input.setAttribute('aria-describedby', problem);
  return [input, make('button', { id: 'pair', className: 'main', textContent: say('pair') })];
}

/** The state, advice, and the form for the code. */
function makeView() {
  const form = make('form', { id: 'pairing', className: 'field', hidden: true },
    make('label', { htmlFor: 'code', textContent: say('pairing_code') }),
    make('div', { className: 'line' }, ...codeField('problem')));
  return [
    make('p', { className: 'state', role: 'status' }, make('span', { id: 'state' })),
    make('p', { id: 'advice', className: 'quiet' }),
    make('button', {
      id: 'elsewhere', type: 'button', className: 'plain', textContent: say('change_address'), hidden: true,
    }),
    form,
    make('p', { id: 'problem', className: 'bad', role: 'alert' }),
  ];
}

/** The place of a page that shows the server's state and takes the code.  It replaces the element
 * `server-view`. */
export class Connection {
  /** @param {(state: State) => void} [onState] */
  constructor(onState = () => {}) {
    /** @type {State} */
    this.state = 'looking';
    this.onState = onState;
    $('server-view').replaceWith(...makeView());
    $('pairing').addEventListener('submit', (/** @type {SubmitEvent} */ event) => this.pair(event));
    $('check').addEventListener('click', () => this.look());
    $('elsewhere').addEventListener('click', () => {
      if ($('address')) $('address').select();
      else chrome.runtime.openOptionsPage();
    });
    $('let-in').addEventListener('click', async () => {
      await chrome.permissions.request(HERE).catch(() => false);
      await this.look();
    });
    this.show('looking');
  }

  /** Ask the server for its state. */
  async look() {
    const allowed = await chrome.permissions.contains(HERE).catch(() => true);
    const server = allowed ? await tell({ type: 'status' }).catch(() => DOWN) : BARRED;
    this.show(server.state, await this.advice(server));
  }

  /** @param {{state: string, code: string, detail: string}} server */
  async advice({ state, code, detail }) {
    if (code === 'pair_anew' || code === 'version') return say(`trouble_${code}`);
    if (code === 'ailing') return detail;
    const { address } = await stored('server');
    if (code === 'other') return say('advice_other', address);
    return say(`advice_${state}`, address);
  }

  /** @param {State} state
   * @param {string} [advice] */
  show(state, advice = '') {
    const focused = document.activeElement;
    this.state = state;
    $('connection').dataset.state = state;
    for (const [id, words] of [['state', say(`state_${state}`)], ['advice', advice]]) {
      if ($(id).textContent !== words) $(id).textContent = words; // a screen reader repeats every change
    }
    $('pairing').hidden = state !== 'unpaired';
    $('let-in').hidden = state !== 'barred';
    $('elsewhere').hidden = state !== 'down';
    if (state !== 'unpaired') $('problem').textContent = '';
    this.onState(state);
    // A field that is hidden loses the focus: keep it near.
    if (focused && focused !== document.body && !focused.checkVisibility()) $('connection').focus();
  }

  /** @param {SubmitEvent} event */
  async pair(event) {
    event.preventDefault();
    const button = $('pair');
    button.disabled = true; // a code works once: a second press would find it used up
    $('problem').textContent = '';
    try {
      await tell({ type: 'pair', code: $('code').value });
      $('code').value = '';
    } catch (error) {
      const trouble = troubleOf(error);
      $('problem').textContent = wordsOf(trouble);
      $('code').select();
      if (trouble.code !== 'down') return;
    } finally {
      button.disabled = false;
    }
    await this.look();
  }
}
