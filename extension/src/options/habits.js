// The card with what goes on by itself.

import { $, keepShown } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { amendStored, stored } from '../common/storage.js';

/** The check boxes; each has the name of what it turns on. */
const HABITS = /** @type {const} */ (['begin', 'faceless']);

/** Let the user turn each on and off. */
export function offerHabits() {
  for (const name of HABITS) {
    $(name).addEventListener('change', async () => {
      await amendStored('habits', (habits) => { habits[name] = $(name).checked; });
      $('habits-news').textContent = say('saved');
    });
  }
  keepShown(['habits'], async () => {
    const habits = await stored('habits');
    for (const name of HABITS) $(name).checked = habits[name];
  });
}
