// The dialog as a small card in the corner, so that the page can be used while photos are being protected.
// A dialog in a window of its own covers no page, and has no small form.

import { $ } from '../common/dom.js';
import { tell } from '../common/messages.js';
import { onPress, watchVisibility } from './click-guard.js';

/** Whether there is a page that the dialog covers. */
export const canShrink = window !== window.top;

export const isSmall = () => document.documentElement.dataset.size === 'small';

/** @param {boolean} small */
function put(small) {
  document.documentElement.dataset.size = small ? 'small' : 'large';
  $('panel').hidden = small;
  $('card').hidden = !small;
  watchVisibility($(small ? 'card' : 'panel'));
}

/** Show the card or the whole dialog.
 * @param {string} ticket
 * @param {boolean} small
 * @returns {Promise<boolean>} whether the page's frame did so: a page may have a dialog of its own open */
async function turn(ticket, small) {
  put(small);
  if (await tell({ type: 'size', ticket, small }).catch(() => false)) return true;
  put(!small);
  return false;
}

/** Let the user make the dialog small, and large again.
 * @param {string} ticket
 * @param {(words: boolean) => void} onTurn called after each change; whether it was done */
export function offerSmall(ticket, onTurn) {
  onPress($('aside'), 'click', async () => { onTurn(await turn(ticket, true)); });
  onPress($('card'), 'click', async () => {
    onTurn(await turn(ticket, false));
    $('title').focus();
  });
}
