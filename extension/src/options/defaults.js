// The card with the choice that every upload begins with.

/** @import {Looks} from '../common/types.js' */

import { chosen, CONTROLS, offerChoices, showOwn } from '../common/choice-lists.js';
import { $ } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { store, stored } from '../common/storage.js';

/** Show the choice.
 * @param {Looks | undefined} looks undefined while the server does not answer */
export async function showDefaults(looks) {
  $('defaults').hidden = !looks;
  $('offline').hidden = Boolean(looks);
  if (looks) offerChoices(looks, await stored('defaults'));
}

async function save() {
  showOwn();
  $('defaults-news').textContent = '';
  const choice = chosen();
  if (!choice.prompt) return $('prompt').focus(); // the user's own words are still missing
  await store('defaults', choice);
  $('defaults-news').textContent = say('saved');
}

for (const id of CONTROLS) $(id).addEventListener('change', save);

$('everywhere').addEventListener('click', async () => {
  await store('choices', {});
  $('defaults-news').textContent = say('used_everywhere');
});
