// The settings: where the server is and whether we are paired, which sites are on; the other cards have modules of their own.

/** @import {Rule} from '../common/types.js' */

import { say } from '../common/i18n.js';
import { store, stored } from '../common/storage.js';
import { tell } from '../common/messages.js';
import { allow, forget, hostIn, isAllowed, setRule, siteOf } from '../common/access.js';
import { Connection } from '../common/connection.js';
import { showDefaults } from './defaults.js';
import { offerOwner, showOwner } from './owner.js';
import { knowEnrolled } from './rule-editor.js';
import { $, keepShown, make, speak } from '../common/dom.js';
import { offerSites } from '../common/site-switches.js';

/** @type {Rule[]} */
const RULES = ['ask', 'always', 'never'];

speak();

// --- the server ------------------------------------------------------------------------------------------

const connection = new Connection(async (state) => {
  $('unpair').hidden = !(await stored('server')).token;
  const asked = state === 'ready' ? [tell({ type: 'looks' }), tell({ type: 'owner' })] : [];
  const [looks, photos] = await Promise.all(asked).catch(() => []);
  showOwner(photos);
  await Promise.all([showDefaults(looks), knowEnrolled(photos?.length)]);
});

offerOwner(() => connection.look());

/** The address of a server on this machine in what was typed.
 * @param {string} text */
function addressIn(text) {
  const address = /^\w+:\/\//.test(text) ? text : `http://${text}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  return url?.protocol === 'http:' && ['127.0.0.1', 'localhost'].includes(url.hostname) ? url.origin : '';
}

$('where').addEventListener('submit', async (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const address = addressIn($('address').value.trim());
  $('where-problem').textContent = address ? '' : say('trouble_bad_address');
  $('server-news').textContent = '';
  if (!address) return $('address').focus();
  $('address').value = address;
  const server = await stored('server');
  if (server.address !== address) {
    // The token is for the server that gave it, and for no other program that may be at the new address.
    if (server.token) $('server-news').textContent = say('address_changed');
    await tell({ type: 'unpair' });
    await store('server', { address, token: '', client: '' });
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

/** Say what became of what was done to the sites.
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
  const list = make('select', { ariaLabel: say('rule_of', host) }, ...RULES.map((name) => new Option(say(`rule_${name}`), name)));
  list.value = rule;
  list.addEventListener('change', async () => {
    const done = await setRule([host], /** @type {Rule} */ (list.value));
    if (done) report(say('saved'));
    else report(say('site_refused'), 'problem');
  });
  const remove = make('button', { type: 'button', textContent: say('remove'), ariaLabel: say('remove_of', host) });
  remove.addEventListener('click', async () => {
    await forget([host]);
    report(say('removed', host));
    $('add').focus();
  });
  const name = make('th', { scope: 'row' }, host);
  if (rule !== 'never' && !allowed) {
    const button = make('button', { type: 'button', className: 'plain', textContent: say('allow'), ariaLabel: say('allow_of', host) });
    button.addEventListener('click', () => allow([host]));
    name.append(make('small', {}, say('barred'), button));
  }
  return make('tr', {}, name, make('td', {}, list), make('td', {}, remove));
}

async function showSites() {
  const sites = Object.entries(await stored('sites')).sort(([one], [other]) => one.localeCompare(other));
  const rows = await Promise.all(sites.map(async ([host, rule]) => rowOf(host, rule, await isAllowed(host))));
  const held = document.activeElement?.ariaLabel;
  $('sites').replaceChildren(...rows);
  $('table').hidden = !rows.length;
  $('none').hidden = rows.length > 0;
  // The rows are new: whoever was on one stays there.
  if (held) for (const control of $('sites').querySelectorAll('select, button')) if (control.ariaLabel === held) control.focus();
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

/** The sites as they are shown: nothing can be read in the click that the browser wants for its question.
 * @type {Record<string, Rule>} */
let shown = {};

keepShown(['sites'], async () => {
  shown = await stored('sites');
  await showSites();
});

offerSites($('ready'), (is, name) => {
  if (is === 'refused') report(say('site_refused'), 'problem');
  else report(say(is === 'on' ? 'added' : 'removed', name));
});

$('address').value = (await stored('server')).address;
await connection.look();
