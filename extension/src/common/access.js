// What the browser lets us do on a site, and how the user changes it.

import { tell } from './messages.js';
import { patternsOf } from './sites.js';
import { stored } from './storage.js';

/** @import {Rule} from './types.js' */

/** @param {string[]} hosts */
const origins = (hosts) => ({ origins: hosts.flatMap(patternsOf) });

/** @param {string} host
 * @returns {Promise<boolean>} */
export const isAllowed = (host) => chrome.permissions.contains(origins([host])).catch(() => false);

/** Ask the browser to let us into sites.  The browser asks the user, but only within a click: await nothing
 * before.
 * @param {string[]} hosts
 * @returns {Promise<boolean>} */
export const allow = (hosts) => chrome.permissions.request(origins(hosts)).catch(() => false);

/** Set the rule of sites, and ask the browser to let us in.  Await nothing before this.
 *
 * The rules are stored first, because the browser may close a popup when it asks.  The answer no takes
 * them back.
 * @param {string[]} hosts
 * @param {Rule} rule
 * @returns {Promise<boolean>} whether the rule is set */
export async function setRule(hosts, rule) {
  const before = stored('sites');
  const sent = before.then(() => Promise.all(hosts.map((host) => tell({ type: 'setSite', host, rule }))));
  sent.catch(() => {}); // a failure is thrown below
  const allowed = rule === 'never' || await allow(hosts);
  await sent;
  if (allowed) return true;
  const sites = await before;
  const known = hosts.filter((host) => Object.hasOwn(sites, host));
  await Promise.all(known.map((host) => tell({ type: 'setSite', host, rule: sites[host] })));
  await forget(hosts.filter((host) => !known.includes(host)));
  return false;
}

/** Forget sites, the choices made there, and the permission.
 * @param {string[]} hosts */
export async function forget(hosts) {
  if (!hosts.length) return;
  await Promise.all(hosts.map((host) => tell({ type: 'setSite', host, rule: null })));
  // The browser keeps what the manifest itself asks for.
  await Promise.all(hosts.map((host) => chrome.permissions.remove(origins([host])).catch(() => false)));
}
