// The background: it asks the server, keeps the sites' rules, and decides who may ask for what.  The browser
// may end it at any time, so it keeps nothing in variables that must last.

/** @import {Choice, Last, Rule, SentJob, Ticket} from '../common/types.js' */

import { TroubleError, troubleOf } from '../common/errors.js';
import { isBlob } from '../common/messages.js';
import { entryOf, ruleOf } from '../common/sites.js';
import { amend, amendStored, choiceFor, recall, stored } from '../common/storage.js';
import { showBadge, watchBadge } from './badge.js';
import { syncScripts, watchSites } from './content-scripts.js';
import * as server from './server.js';

const PAGES = chrome.runtime.getURL('');
/** Uploads that are remembered, without pixels. */
const LAST = 20;

/** What pages of the extension may ask for.
 * @type {Record<string, (message: any, sender: chrome.runtime.MessageSender) => Promise<unknown>>} */
const HANDLERS = {
  status: async () => {
    const status = await server.status();
    await showBadge(status.state);
    return status;
  },
  pair: async ({ code }) => { await server.pair(String(code)); await showBadge('ready'); },
  unpair: async () => { await server.unpair(); await showBadge('unpaired'); },
  setSite: ({ host, rule }) => setSite(String(host), rule),
  last: () => recall('last'),
  looks: async () => {
    const looks = await server.looks();
    await showBadge('ready');
    return looks;
  },
  claim: ({ ticket }, sender) => claim(String(ticket), sender),
  size: ({ ticket, small }, sender) => resize(String(ticket), small === true, sender),
  settings: () => chrome.runtime.openOptionsPage(),
  submit: (message) => submit(message),
  faces: (message) => faces(message),
  owner: () => server.owner(),
  enrol: ({ photo, kind }) => { if (!isBlob(photo)) throw refused(); return server.enrol(photo, kind); },
  job: ({ id }) => server.job(String(id)),
  result: ({ id }) => server.result(String(id)),
  drop: ({ id }) => drop(String(id)),
  finished: ({ ticket, choice, last }) => finish(String(ticket), choice, last),
};

chrome.runtime.onMessage.addListener((message, sender, answer) => {
  handle(message, sender).then((ok) => answer({ ok }), (error) => {
    const trouble = troubleOf(error);
    const state = server.stateAfter(trouble.code);
    if (state) showBadge(state);
    answer({ trouble });
  });
  return true; // the answer comes later
});

/** @param {any} message
 * @param {chrome.runtime.MessageSender} sender
 * @returns {Promise<unknown>} */
async function handle(message, sender) {
  if (sender.id !== chrome.runtime.id || typeof message?.type !== 'string') throw refused();
  // The browser says who sends, not the message.  A script in a page may only begin and end an
  // upload.
  const ours = sender.url?.startsWith(PAGES);
  if (message.type === 'open' && sender.tab && !ours) {
    return open(String(message.ticket), message.byUser === true, sender);
  }
  if (message.type === 'over' && sender.tab && !ours) return over(String(message.ticket), sender);
  if (!ours || !Object.hasOwn(HANDLERS, message.type)) throw refused();
  return HANDLERS[message.type](message, sender);
}

const refused = () => new TroubleError({ code: 'refused', title: 'This sender may not ask for this' });

// --- a page's photos were caught ----------------------------------------------------------------------

/** A page gets one dialog at a time; so many uploads of a tab wait for theirs. */
const MOST_WAITING = 20;
/** Milliseconds that a frame may take to load, and then the dialog in it to begin. */
const LOADING = 10_000, BEGINNING = 1_000;

/** An upload wants a dialog: at once, or after the others of its tab.
 * @param {string} ticket
 * @param {boolean} byUser whether a person brought the photos, not a script of the page
 * @param {chrome.runtime.MessageSender} sender
 * @returns {Promise<'shown' | 'waiting'>} */
async function open(ticket, byUser, sender) {
  const tab = sender.tab?.id, frame = sender.frameId ?? 0;
  if (tab === undefined || !/^[\da-z-]{20,40}$/.test(ticket)) throw refused();
  // A frame without an origin of its own belongs to the page around it.
  const own = sender.origin && sender.origin !== 'null';
  const origin = own ? String(sender.origin) : sender.tab?.url ?? sender.url ?? '';
  const host = URL.canParse(origin) ? new URL(origin).hostname : '';
  let first = false;
  await amend('tickets', (tickets) => {
    const others = Object.values(tickets).filter((other) => other.tab === tab);
    if (ticket in tickets || others.length > MOST_WAITING) throw refused();
    first = !others.length;
    const turn = 1 + Math.max(0, ...others.map((other) => other.turn));
    tickets[ticket] = {
      tab, frame, document: sender.documentId ?? '', host, byUser, turn, shown: first, claimed: false,
    };
  });
  if (first) await showDialog(ticket, tab);
  return first ? 'shown' : 'waiting';
}

/** Ticket -> what hears that its dialog has begun. @type {Map<string, () => void>} */
const begun = new Map();

/** Show the dialog: over the page, or in a window where the page has no script of ours in its main frame or
 * does not let the dialog's frame load.
 * @param {string} ticket
 * @param {number} tab */
async function showDialog(ticket, tab) {
  const claimed = new Promise((resolve) => { begun.set(ticket, () => resolve(true)); });
  const after = (/** @type {number} */ time) => (
    new Promise((resolve) => { setTimeout(resolve, time, false); }));
  const message = { type: 'show', ticket };
  const loaded = chrome.tabs.sendMessage(tab, message, { frameId: 0 }).catch(() => false);
  const framed = await Promise.race([claimed, loaded, after(LOADING)])
    && await Promise.race([claimed, after(BEGINNING)]);
  begun.delete(ticket);
  if (framed) return;
  await chrome.tabs.sendMessage(tab, { type: 'hide', ticket }, { frameId: 0 }).catch(() => {});
  if (!(await recall('tickets'))[ticket] || (await recall('tickets'))[ticket].claimed) return;
  const url = chrome.runtime.getURL(`src/dialog/window.html#${ticket}`);
  await chrome.windows.create({ url, type: 'popup', width: 720, height: 760 });
}

/** Show the dialog of the upload that waits longest in a tab.
 * @param {number} tab */
async function showNext(tab) {
  let next = '';
  await amend('tickets', (tickets) => {
    const here = Object.keys(tickets).filter((ticket) => tickets[ticket].tab === tab);
    if (!here.length || here.some((ticket) => tickets[ticket].shown)) return;
    [next] = here.sort((one, other) => tickets[one].turn - tickets[other].turn);
    tickets[next].shown = true;
  });
  if (!next) return;
  const { frame } = (await recall('tickets'))[next];
  chrome.tabs.sendMessage(tab, { type: 'turn', ticket: next }, { frameId: frame }).catch(() => {});
  await showDialog(next, tab);
}

/** Give a dialog what it needs.  A ticket works once: a page that shows our dialog by itself has none.
 * @param {string} ticket
 * @param {chrome.runtime.MessageSender} sender */
async function claim(ticket, sender) {
  /** @type {Ticket | undefined} */
  let claimed;
  await amend('tickets', (tickets) => {
    const known = Object.hasOwn(tickets, ticket) ? tickets[ticket] : undefined;
    const framed = sender.frameId !== 0;
    if (!known || known.claimed || (framed && sender.tab?.id !== known.tab)) return;
    known.claimed = true;
    known.dialog = sender.frameId;
    claimed = known;
  });
  begun.get(ticket)?.();
  if (!claimed) throw refused();
  const { host } = claimed;
  const [sites, choice, rules] = await Promise.all([stored('sites'), choiceFor(host), stored('rules')]);
  const rule = ruleOf(sites, host);
  // Photos that a page brings by itself are asked about: it could learn from the results whose face the
  // owner's is.
  return { ...claimed, rule: rule === 'always' && !claimed.byUser ? 'ask' : rule, choice, rules };
}

/** Make the frame above the page small or large again.  Only the dialog that took the upload up may ask.
 * @param {string} ticket
 * @param {boolean} small
 * @param {chrome.runtime.MessageSender} sender
 * @returns {Promise<boolean>} whether it has that size now */
async function resize(ticket, small, sender) {
  const known = (await recall('tickets'))[ticket];
  const own = known?.claimed && sender.tab?.id === known.tab && sender.frameId === known.dialog;
  if (!own || !sender.frameId) throw refused();
  return chrome.tabs.sendMessage(known.tab, { type: 'size', ticket, small }, { frameId: 0 });
}

/** Faces are counted one photo after the other: a browser has few connections to one server.
 * @type {Promise<unknown>} */
let counting = Promise.resolve();
/** Ticket -> what ends the counting when the upload is over. @type {Map<string, AbortController>} */
const counters = new Map();

/** @param {{ticket: string, photo: Blob, kind: string}} message */
async function faces({ ticket, photo, kind }) {
  const turn = counting.then(async () => {
    if (!(await recall('tickets'))[ticket]?.claimed || !isBlob(photo)) throw refused();
    const counter = counters.get(ticket) ?? new AbortController();
    counters.set(ticket, counter);
    return server.faces(photo, kind, counter.signal);
  });
  counting = turn.catch(() => {});
  return turn;
}

/** @param {{ticket: string, key: string, photo: Blob, kind: string, choice: Choice}} message */
async function submit({ ticket, key, photo, kind, choice }) {
  const known = (await recall('tickets'))[ticket];
  if (!known?.claimed || !isBlob(photo)) throw refused();
  // If this worker ended before it could answer, the dialog sends the same photo again.
  const before = (await recall('jobs'))[key];
  if (before) return before.id;
  const options = Object.fromEntries(Object.entries(choice).filter(([, value]) => value));
  const id = await server.submit(photo, kind, { ...options, ...(await stored('testing')) });
  if (!(await recall('tickets'))[ticket]) { // the dialog went away while the photo was being sent
    await server.drop(id).catch(() => {});
    throw refused();
  }
  await amend('jobs', (jobs) => { jobs[key] = { id, ticket }; });
  return id;
}

/** @param {string} id */
async function drop(id) {
  await amend('jobs', (jobs) => {
    for (const [key, job] of Object.entries(jobs)) if (job.id === id) delete jobs[key];
  });
  await server.drop(id);
}

/** End an upload: remember the choice, drop the rest.
 * @param {string} ticket
 * @param {Choice | null} choice
 * @param {Last | null} [last] */
async function finish(ticket, choice, last = null) {
  if (last) await amend('last', (all) => { all.unshift(last); all.length = Math.min(all.length, LAST); });
  const known = (await recall('tickets'))[ticket];
  if (known?.host && choice) {
    const { prompt, level, faces } = choice;
    await amendStored('choices', (choices) => {
      choices[known.host] = { prompt: String(prompt), level: String(level), faces: String(faces) };
    });
  }
  if (known) chrome.tabs.sendMessage(known.tab, { type: 'hide', ticket }, { frameId: 0 }).catch(() => {});
  await dropAll((job) => job.ticket === ticket);
  await amend('tickets', (tickets) => { delete tickets[ticket]; });
  counters.get(ticket)?.abort();
  counters.delete(ticket);
  if (known) showNext(known.tab).catch(() => {});
}

/** The script that caught the photos has ended its upload.
 * @param {string} ticket
 * @param {chrome.runtime.MessageSender} sender */
async function over(ticket, sender) {
  const known = (await recall('tickets'))[ticket];
  if (known && known.tab === sender.tab?.id && known.frame === sender.frameId) await finish(ticket, null);
}

/** Let the server drop jobs whose upload is over.
 * @param {(job: SentJob) => boolean} which */
async function dropAll(which) {
  const unwanted = Object.values(await recall('jobs')).filter(which);
  await Promise.all(unwanted.map(({ id }) => drop(id).catch(() => {})));
}

// A dialog holds a port open.  When the dialog goes (tab closed, page left), its upload ends.
chrome.runtime.onConnect.addListener((port) => {
  if (port.sender?.id !== chrome.runtime.id || !port.sender?.url?.startsWith(PAGES)) return port.disconnect();
  const ticket = port.name;
  if (ticket.startsWith('page ')) return passOn(port, ticket.slice(5));
  port.onDisconnect.addListener(() => { finish(ticket, null); });
});

/** Pass messages between a dialog and the script that caught its photos, where the dialog cannot reach the
 * script.
 * @param {chrome.runtime.Port} port
 * @param {string} ticket */
async function passOn(port, ticket) {
  const known = (await recall('tickets'))[ticket];
  if (!known?.claimed || port.sender?.tab?.id !== known.tab) return port.disconnect();
  const page = chrome.tabs.connect(known.tab, { frameId: known.frame, name: ticket });
  page.onMessage.addListener((message) => port.postMessage(message));
  port.onMessage.addListener((message) => { if (message.type !== 'awake') page.postMessage(message); });
  page.onDisconnect.addListener(() => port.disconnect());
  port.onDisconnect.addListener(() => page.disconnect());
}

// The same, in case this worker was not running when the port closed.
chrome.tabs.onRemoved.addListener(async (tab) => {
  for (const [ticket, known] of Object.entries(await recall('tickets'))) {
    if (known.tab === tab) await finish(ticket, null);
  }
});

// --- sites -------------------------------------------------------------------------------------------

/** @param {string} host
 * @param {Rule | null} rule null: forget the site, and the choices made there */
async function setSite(host, rule) {
  const known = rule === null || ['ask', 'always', 'never'].includes(rule);
  if (!known || !/^[\w.:[\]-]+$/.test(host)) throw refused();
  if (rule) {
    await amendStored('sites', (sites) => { sites[entryOf(sites, host)] = rule; });
  } else {
    await amendStored('sites', (sites) => { delete sites[host]; });
    await amendStored('choices', (choices) => {
      for (const name of Object.keys(choices)) {
        if (entryOf({ [host]: true }, name) === host) delete choices[name];
      }
    });
  }
  await syncScripts();
}

// Scripts in pages may not read what is kept, least of all the token.
chrome.storage.local.setAccessLevel?.({ accessLevel: 'TRUSTED_CONTEXTS' });
watchSites();
watchBadge();
chrome.runtime.onInstalled.addListener(({ reason }) => {
  const url = chrome.runtime.getURL('src/onboarding/onboarding.html');
  if (reason === 'install') chrome.tabs.create({ url });
});
chrome.runtime.onStartup.addListener(() => { server.status().then(({ state }) => showBadge(state)); });
