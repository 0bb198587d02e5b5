// The look, the strength and the faces that every upload begins with.

import { chosen, CONTROLS, offerChoices, showOwn } from '../common/choice-lists.js';
import { say } from '../common/i18n.js';
import { $ } from '../common/dom.js';
import { store, stored } from '../common/storage.js';

/** Show what is chosen.  The server says what may be.
 * @param {any} looks what it says; undefined while it says nothing */
export async function showDefaults(looks) {
  $('defaults').hidden = !looks;
  $('offline').hidden = Boolean(looks);
  if (looks) offerChoices(looks, await stored('defaults'));
}

async function save() {
  showOwn();
  $('defaults-news').textContent = '';
  const choice = chosen();
  if (!choice.prompt) return $('prompt').focus(); // words are still to come
  await store('defaults', choice);
  $('defaults-news').textContent = say('saved');
}

for (const id of CONTROLS) $(id).addEventListener('change', save);

$('everywhere').addEventListener('click', async () => {
  await store('choices', {});
  $('defaults-news').textContent = say('used_everywhere');
});
