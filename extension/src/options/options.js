// The settings: the server and the sites.  The other cards have modules of their own.

/** @import {Rule} from '../common/types.js' */

import { allow, forget, isAllowed, setRule } from '../common/access.js';
import { Connection } from '../common/connection.js';
import { $, keepShown, make, makeButton, translatePage } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { tell } from '../common/messages.js';
import { offerSites } from '../common/site-switches.js';
import { hostIn, loopbackOrigin, siteOf } from '../common/sites.js';
import { store, stored } from '../common/storage.js';
import { showDefaults } from './defaults.js';
import { offerHabits } from './habits.js';
import { offerOwner, showOwner } from './owner.js';
import { showEnrolled } from './rule-editor.js';

/** @type {Rule[]} */
const RULES = ['ask', 'always', 'never'];

translatePage();

// --- the server ------------------------------------------------------------------------------------------

const connection = new Connection(async (state) => {
  $('unpair').hidden = !(await stored('server')).client;
  const asked = state === 'ready' ? [tell({ type: 'looks' }), tell({ type: 'owner' })] : [];
  const [looks, photos] = await Promise.all(asked).catch(() => []);
  showOwner(photos);
  await Promise.all([showDefaults(looks), showEnrolled(photos?.length)]);
});

offerOwner(() => connection.look());
$('owner-page').addEventListener('click', async () => {
  // Not a link: the server refuses what other sites, and we, lead to.
  await chrome.tabs.create({ url: (await stored('server')).address });
});
// The photos may have been removed on the server's page meanwhile.
document.addEventListener('visibilitychange', () => { if (!document.hidden) connection.look(); });

$('where').addEventListener('submit', async (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const typed = $('address').value.trim();
  const address = loopbackOrigin(/^\w+:\/\//.test(typed) ? typed : `http://${typed}`);
  $('where-problem').textContent = address ? '' : say('trouble_bad_address');
  $('server-news').textContent = '';
  if (!address) return $('address').focus();
  $('address').value = address;
  const server = await stored('server');
  if (server.address !== address) {
    // Only the server that gave the token may see it: another program may be at the new address.
    if (server.client) $('server-news').textContent = say('address_changed');
    await tell({ type: 'unpair' });
    await store('server', { address, token: '', client: '', secret: '' });
  }
  await connection.look();
});

$('unpair').addEventListener('click', async () => {
  await tell({ type: 'unpair' });
  $('server-news').textContent = say('unpaired_now');
  await connection.look();
});

$('pairing').addEventListener('submit', () => { $('server-news').textContent = ''; });

// --- sites -----------------------------------------------------------------------------------------------

/** Say how a change of the sites went.
 * @param {string} words
 * @param {'news' | 'problem'} [where] */
function report(words, where = 'news') {
  $('sites-news').textContent = where === 'news' ? words : '';
  $('sites-problem').textContent = where === 'problem' ? words : '';
}

/** A site's line in the table.
 * @param {string} host
 * @param {Rule} rule
 * @param {boolean} allowed */
function rowOf(host, rule, allowed) {
  const rules = RULES.map((name) => new Option(say(`rule_${name}`), name));
  const list = make('select', { ariaLabel: say('rule_of', host) }, ...rules);
  list.value = rule;
  list.addEventListener('change', async () => {
    const done = await setRule([host], /** @type {Rule} */ (list.value));
    if (done) report(say('saved'));
    else report(say('site_refused'), 'problem');
  });
  const remove = makeButton('remove', say('remove_of', host));
  remove.addEventListener('click', async () => {
    await forget([host]);
    report(say('removed', host));
    $('add').focus();
  });
  const name = make('th', { scope: 'row' }, host);
  if (rule !== 'never' && !allowed) {
    const button = makeButton('allow', say('allow_of', host), 'plain');
    button.addEventListener('click', () => allow([host]));
    name.append(make('small', {}, say('barred'), button));
  }
  return make('tr', {}, name, make('td', {}, list), make('td', {}, remove));
}

async function showSites() {
  const sites = Object.entries(await stored('sites')).sort(([one], [other]) => one.localeCompare(other));
  const rows = await Promise.all(sites.map(async ([host, rule]) => rowOf(host, rule, await isAllowed(host))));
  const focused = document.activeElement?.ariaLabel;
  $('sites').replaceChildren(...rows);
  $('table').hidden = !rows.length;
  $('none').hidden = rows.length > 0;
  // The rows are new: the focus stays on the same control.
  const controls = [...$('sites').querySelectorAll('select, button')];
  if (focused) controls.find((control) => control.ariaLabel === focused)?.focus();
}

$('adding').addEventListener('submit', async (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const host = hostIn($('add').value);
  if (!host) {
    report(say('add_bad'), 'problem');
    return $('add').focus();
  }
  const site = siteOf(shown, host);
  if (Object.hasOwn(shown, site)) return report(say('known_already', site), 'problem');
  if (!(await setRule([site], 'ask'))) return report(say('site_refused'), 'problem');
  $('add').value = '';
  report(say('added', site));
});

/** The sites as they are shown.  A click must not await them: the browser asks the user only within the
 * click.
 * @type {Record<string, Rule>} */
let shown = {};

keepShown(['sites'], async () => {
  shown = await stored('sites');
  await showSites();
});

offerSites($('ready'), (state, name) => {
  if (state === 'refused') report(say('site_refused'), 'problem');
  else report(say(state === 'on' ? 'added' : 'removed', name));
});

offerHabits();

$('address').value = (await stored('server')).address;
await connection.look();
