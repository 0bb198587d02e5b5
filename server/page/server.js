// Requests to the server, which proves itself before anything is sent, and problems in words.

import { beginSession, isOpen, keysOf, pairBy, signRequest } from './proof.js';

/** In this browser's storage: the number of its pairing, and the token of an older version, or of a page that
 * came by plain HTTP from another machine. */
const CLIENT = 'clip2protect-client', TOKEN = 'clip2protect-token';
const GONE = { code: 'unreachable', title: 'The server does not answer: start it again, then try again' };
const OTHER = { code: 'other', title: 'Another program answers at the address of the server' };
const ANEW = { code: 'unpaired', title: 'An older version paired this browser: pair it anew' };
const WRONG = {
  code: 'bad_code', title: "The pairing code is wrong or too old: the server's console shows the valid one",
};
/** A page that comes by plain HTTP from another machine computes no proofs. */
const canProve = Boolean(globalThis.crypto?.subtle);

/** The open session, or the one that begins. @type {Promise<any> | undefined} */
let current;
/** Path of a photo -> a request to drop it, made while there was time. */
const farewells = new Map();

export const paired = () => [CLIENT, TOKEN].some((key) => localStorage.getItem(key) !== null);

/** Forget this browser's pairing. */
export function forget() {
  for (const key of [CLIENT, TOKEN]) localStorage.removeItem(key);
  current = undefined;
  farewells.clear();
  indexedDB.deleteDatabase(CLIENT);
}

// --- the keys: the browser keeps them, and lets no page read them -----------------------------------------

/** Do something with the store of keys.
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest} action */
async function withStore(mode, action) {
  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const opening = indexedDB.open(CLIENT);
  opening.onupgradeneeded = () => opening.result.createObjectStore('keys');
  const database = await done(opening);
  try {
    return await done(action(database.transaction('keys', mode).objectStore('keys')));
  } finally {
    database.close();
  }
}

/** Pair this browser by a code. */
export async function pair(code) {
  if (!canProve) {
    const { token } = await post('/v1/pair', { code, name: 'Web page' });
    return localStorage.setItem(TOKEN, token);
  }
  const made = await pairBy(code, 'Web page', location.host, post);
  if (!made) throw WRONG;
  const keys = await keysOf(made.secret);
  await withStore('readwrite', (store) => store.put(keys, made.client));
  current = undefined;
  localStorage.removeItem(TOKEN);
  localStorage.setItem(CLIENT, made.client);
}

// --- sessions ---------------------------------------------------------------------------------------------

async function begin() {
  const client = localStorage.getItem(CLIENT) ?? '';
  const keys = client && await withStore('readonly', (store) => store.get(client));
  if (!keys) throw { ...ANEW, title: paired() ? ANEW.title : 'This browser is not paired' };
  const session = await beginSession(client, keys, location.host, post);
  if (!session) throw OTHER;
  return session;
}

/** A session.  A photo gets a fresh one: the server has proved itself a moment before. */
async function sessionFor(fresh) {
  const known = fresh ? undefined : await current;
  if (known && isOpen(known)) return known;
  const begun = current = begin();
  begun.catch(() => { if (current === begun) current = undefined; });
  return begun;
}

/** Ask without a session: nothing secret is in the question. */
async function post(path, body) {
  const headers = { 'Content-Type': 'application/json', 'X-Clip2Protect': '1' };
  const response = await fetch(path, { method: 'POST', body: JSON.stringify(body), headers })
    .catch(() => { throw GONE; });
  if (!response.ok) throw await problemOf(response);
  return response.json().catch(() => { throw OTHER; });
}

async function problemOf(response) {
  const unknown = { code: 'internal', title: `The server answered ${response.status}` };
  return response.json().catch(() => unknown);
}

/** A request of a session, sent by a function, and its answer.  An answer that is not proven ends the
 * session; then the server may prove itself once more. */
async function inSession(method, path, fresh, send) {
  for (let tries = 2; ; tries -= 1) {
    const session = await sessionFor(fresh);
    const { header, isAnswer } = await signRequest(session, method, path);
    const response = await send(header).catch((error) => { current = undefined; throw error; });
    if (await isAnswer(response)) {
      if (response.ok && method === 'GET' && /^\/v1\/jobs\/[^/]+$/.test(path)) await prepare(session, path);
      return response;
    }
    current = undefined;
    if (tries <= 1) throw response.ok ? OTHER : await problemOf(response);
  }
}

/** Sign the request to drop a photo: a page that is left has no time for it. */
async function prepare(session, path) {
  if (farewells.get(path)?.session === session) return;
  farewells.set(path, { session, ...await signRequest(session, 'DELETE', path) });
}

/**
 * A request of this browser.  Throws {code, title, detail} for an answer that is a problem.  If the server does
 * not know this browser, the window gets an event `unpaired` with the words to show.
 */
export async function ask(path, options = {}) {
  const { method = 'GET', keepalive, body } = options;
  const send = (authorization) => {
    const headers = { 'X-Clip2Protect': '1', ...options.headers, Authorization: authorization };
    return fetch(path, { ...options, headers }).catch(() => { throw GONE; });
  };
  const farewell = farewells.get(path);
  if (keepalive && farewell) return send(farewell.header);
  try {
    const token = canProve ? null : localStorage.getItem(TOKEN);
    const response = token === null
      ? await inSession(method, path, body !== undefined, send) : await send(`Bearer ${token}`);
    if (response.ok) return response;
    throw await problemOf(response);
  } catch (problem) {
    if (['unpaired', 'pair_anew'].includes(problem.code)) {
      dispatchEvent(new CustomEvent('unpaired', { detail: paired() ? words(problem) : '' }));
    }
    throw problem;
  }
}

/** The body of an answer.  One that breaks off counts as no answer. */
export async function read(kind, path, options) {
  const response = await ask(path, options);
  return response[kind]().catch(() => { throw GONE; });
}

/** A problem in one or two sentences. */
export const words = (problem) => (
  [problem.title ?? String(problem), problem.detail].filter(Boolean).join(': '));
