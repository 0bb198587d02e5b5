// How it stands with the server, in words; and pairing.  Every page of the extension has a place for it.

/** @import {Status} from './types.js' */

import { say, wordsOf } from './i18n.js';
import { stored } from './storage.js';
import { tell } from './messages.js';
import { troubleOf } from './errors.js';
import { $ } from './dom.js';

/** Where the server may be: the browser may have been told to keep us out even there. */
const HERE = { origins: ['http://127.0.0.1/*', 'http://localhost/*'] };

const DOWN = { state: 'down', code: 'down', detail: '' }, BARRED = { state: 'barred', code: 'barred', detail: '' };

/** @typedef {Status['state'] | 'looking' | 'barred'} State */

/** The place of the page that shows the server's state and takes the code. */
export class Connection {
  /** @param {(state: State) => void} [onState] */
  constructor(onState = () => {}) {
    /** @type {State} */
    this.state = 'looking';
    this.onState = onState;
    $('pairing').addEventListener('submit', (/** @type {SubmitEvent} */ event) => this.pair(event));
    $('check').addEventListener('click', () => this.look());
    $('let-in').addEventListener('click', async () => {
      await chrome.permissions.request(HERE).catch(() => false);
      await this.look();
    });
    this.show('looking');
  }

  /** Ask the server how it is. */
  async look() {
    const allowed = await chrome.permissions.contains(HERE).catch(() => true);
    const found = allowed ? await tell({ type: 'status' }).catch(() => DOWN) : BARRED;
    this.show(found.state, await this.advice(found));
  }

  /** @param {{state: string, code: string, detail: string}} found */
  async advice({ state, code, detail }) {
    if (code === 'other') return say('advice_other');
    if (code === 'ailing') return detail;
    return say(`advice_${state}`, new URL((await stored('server')).address).host);
  }

  /** @param {State} state
   * @param {string} [advice] */
  show(state, advice = '') {
    const held = document.activeElement;
    this.state = state;
    $('connection').dataset.state = state;
    for (const [id, words] of [['state', say(`state_${state}`)], ['advice', advice]]) {
      if ($(id).textContent !== words) $(id).textContent = words; // what did not change is not read out again
    }
    $('pairing').hidden = state !== 'unpaired';
    $('let-in').hidden = state !== 'barred';
    if (state !== 'unpaired') $('problem').textContent = '';
    this.onState(state);
    // A field that was typed into and is gone takes the focus with it.
    if (held && held !== document.body && !held.checkVisibility()) $('connection').focus();
  }

  /** @param {SubmitEvent} event */
  async pair(event) {
    event.preventDefault();
    const button = $('pair');
    button.disabled = true; // a code works once: a second press would be told that it is wrong
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
