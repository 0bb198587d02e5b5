// Requests to the server, which proves itself before anything is sent.  Only the background makes them: the
// server refuses requests of web pages.

/** @import {Enrolled, FoundFace, Health, Job, Looks} from '../common/types.js' */
/** @import {Options, Server, ServerState, Status} from '../common/types.js' */
/** @import {Session} from './proof.js' */

import { TroubleError, troubleOf } from '../common/errors.js';
import { loopbackOrigin } from '../common/sites.js';
import { store, stored } from '../common/storage.js';
import { beginSession, isOpen, keysOf, pairBy, signRequest } from './proof.js';

/** Milliseconds that an answer may take: without and with a photo. */
const SHORT = 8_000, LONG = 90_000;
const PROTOCOL = 2;

const DOWN = { code: 'down', title: 'The server does not answer' };
const SLOW = { code: 'timeout', title: 'The server did not answer in time' };
const UNPAIRED = { code: 'unpaired', title: 'This browser is not paired with the server' };
const ANEW = { code: 'pair_anew', title: 'An older version paired this browser: pair it anew' };
const WRONG = { code: 'bad_code', title: 'The pairing code is wrong or too old' };
const VERSION = { code: 'version', title: 'The server and this extension are of different versions' };
const OTHER = { code: 'other', title: 'Another program answers at the address of the server' };

/** The address of the server.  It must be on this machine, whatever the setting says.  `localhost` may be two
 * addresses, and the second another program's.
 * @param {string} address
 * @returns {string} */
function loopback(address) {
  const origin = loopbackOrigin(address);
  if (origin) return origin.replace('//localhost', '//127.0.0.1');
  throw new TroubleError({ code: 'bad_address', title: 'The address of the server is not on this machine' });
}

/** @typedef {RequestInit & {limit?: number}} Sent */

/** Send a request, and nothing that it does not hold.
 * @param {string} where
 * @param {Sent} options
 * @returns {Promise<Response>} */
async function send(where, { limit = SHORT, ...options }) {
  const headers = new Headers(options.headers);
  headers.set('X-Clip2Protect', '1');
  const late = AbortSignal.timeout(limit);
  const signal = options.signal ? AbortSignal.any([late, options.signal]) : late;
  /** @type {RequestInit} */
  const strict = { credentials: 'omit', redirect: 'error', cache: 'no-store' };
  return fetch(where, { ...options, ...strict, headers, signal })
    .catch(() => { throw new TroubleError(late.aborted ? SLOW : DOWN); });
}

/** @param {Response} response
 * @returns {Promise<TroubleError>} */
async function refusal(response) {
  const { code, title, detail } = await response.json().catch(() => OTHER);
  return new TroubleError({ code: String(code), title: String(title), detail });
}

/** @param {Response} response
 * @returns {Promise<any>} */
async function jsonOf(response) {
  if (!response.ok) throw await refusal(response);
  return response.json().catch(() => { throw new TroubleError(response.bodyUsed ? OTHER : DOWN); });
}

/** Ask without a session: nothing secret is in the question.
 * @param {string} origin
 * @returns {import('./proof.js').Post} */
const poster = (origin) => async (path, body) => jsonOf(await send(origin + path, {
  method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' },
}));

/** The open session, or the one that begins, and what it was begun with.
 * @type {{of: string, session: Promise<Session>} | undefined} */
let current;

/** @param {Server} server
 * @returns {Promise<Session>} */
async function begin({ address, client, secret }) {
  const origin = loopback(address), { host } = new URL(origin);
  const session = await beginSession(client, await keysOf(secret), host, poster(origin));
  if (!session) throw new TroubleError(OTHER);
  return session;
}

/** A session.  A photo gets a fresh one: the server has proved itself a moment before.
 * @param {Server} server
 * @param {boolean} fresh
 * @returns {Promise<Session>} */
async function sessionFor(server, fresh) {
  const of = [server.address, server.client, server.secret].join(' ');
  const known = !fresh && current?.of === of ? await current.session : undefined;
  if (known && isOpen(known)) return known;
  const begun = current = { of, session: begin(server) };
  begun.session.catch(() => { if (current === begun) current = undefined; });
  return begun.session;
}

/** A request of this browser.  A connection that fails ends the session, and so does an answer that is not
 * proven; after that the server may prove itself once more.
 * @param {string} path
 * @param {Sent} [options]
 * @returns {Promise<Response>} */
async function ask(path, options = {}) {
  const server = await stored('server'), target = new URL(loopback(server.address) + path);
  if (!server.secret) throw new TroubleError(server.token ? ANEW : UNPAIRED);
  for (let tries = 2; ; tries -= 1) {
    const session = await sessionFor(server, options.body !== undefined);
    const { pathname, search } = target;
    const { header, isAnswer } = await signRequest(session, options.method ?? 'GET', pathname + search);
    const headers = new Headers(options.headers);
    headers.set('Authorization', header);
    const response = await send(target.href, { ...options, headers })
      .catch((error) => { current = undefined; throw error; });
    const proven = await isAnswer(response);
    if (proven && response.ok) return response;
    if (proven) throw await refusal(response);
    current = undefined;
    if (tries <= 1) throw response.ok ? new TroubleError(OTHER) : await refusal(response);
  }
}

/** @param {string} path
 * @param {Sent} [options]
 * @returns {Promise<any>} */
const json = async (path, options) => jsonOf(await ask(path, options));

/** What a trouble tells of the server.
 * @param {string} code
 * @returns {'unpaired' | 'down' | undefined} undefined: nothing, it is one of a photo */
export function stateAfter(code) {
  if (['unpaired', 'pair_anew', 'wrong_origin'].includes(code)) return 'unpaired';
  return ['down', 'timeout', 'other', 'version', 'bad_address'].includes(code) ? 'down' : undefined;
}

/** @returns {Promise<ServerState>} */
export async function status() {
  const server = await stored('server');
  try {
    /** @type {Health} */
    const { name, protocol } = await jsonOf(await send(`${loopback(server.address)}/v1/health`, {}));
    if (name !== 'clip2protect') throw new TroubleError(OTHER);
    if (protocol !== PROTOCOL) throw new TroubleError(VERSION);
    /** @type {Status} */
    const { trouble } = await json('/v1/status');
    return { state: 'ready', code: trouble ? 'ailing' : 'ready', detail: trouble };
  } catch (error) {
    const { code, title } = troubleOf(error);
    return { state: stateAfter(code) ?? 'down', code, detail: code === 'unpaired' ? '' : title };
  }
}

/** @param {string} code */
export async function pair(code) {
  const { address } = await stored('server'), origin = loopback(address);
  const made = await pairBy(code, 'Browser extension', new URL(origin).host, poster(origin));
  if (!made) throw new TroubleError(WRONG);
  await store('server', { address, token: '', ...made });
}

/** Forget the pairing here, and end it at the server. */
export async function unpair() {
  const { client } = await stored('server');
  if (client) await ask(`/v1/clients/${encodeURIComponent(client)}`, { method: 'DELETE' }).catch(() => {});
  const server = await stored('server');
  if (server.client === client) await store('server', { ...server, token: '', client: '', secret: '' });
  current = undefined;
}

/** What can be chosen for a photo.
 * @returns {Promise<Looks>} */
export async function looks() {
  // The settings say why the owner's photos cannot be read: here they count as none.
  const photos = owner().catch(() => []);
  const [prompts, levels, known] = await Promise.all([json('/v1/prompts'), json('/v1/levels'), photos]);
  return { prompts, levels, enrolled: known.length };
}

/** The photos that taught the server the owner's face.
 * @returns {Promise<Enrolled[]>} */
export const owner = async () => (await json('/v1/owner')).photos;

/** Let the server learn the owner's face from a photo.  It does not keep the photo.
 * @param {Blob} photo
 * @param {string} kind
 * @returns {Promise<Enrolled>} */
export const enrol = (photo, kind) => post('/v1/owner', photo, kind);

/** The faces of a photo, the largest first.
 * @param {Blob} photo
 * @param {string} kind
 * @param {AbortSignal} signal
 * @returns {Promise<FoundFace[]>} */
export const faces = async (photo, kind, signal) => (await post('/v1/faces', photo, kind, signal)).faces;

/** Send a photo.
 * @param {Blob} photo
 * @param {string} kind
 * @param {Options} options
 * @returns {Promise<string>} the job's number */
export async function submit(photo, kind, options) {
  const query = new URLSearchParams(/** @type {Record<string, string>} */ (options));
  return (await post(`/v1/jobs?${query}`, photo, kind)).id;
}

/** @param {string} path
 * @param {Blob} photo
 * @param {string} kind
 * @param {AbortSignal} [signal] */
function post(path, photo, kind, signal) {
  return json(path, { method: 'POST', body: photo, headers: { 'Content-Type': kind }, limit: LONG, signal });
}

/** @param {string} id
 * @returns {Promise<Job>} */
export const job = (id) => json(`/v1/jobs/${encodeURIComponent(id)}`);

/** The protected photo.
 * @param {string} id
 * @returns {Promise<Blob>} */
export async function result(id) {
  const response = await ask(`/v1/jobs/${encodeURIComponent(id)}/result`, { limit: LONG });
  return response.blob().catch(() => { throw new TroubleError(DOWN); });
}

/** Cancel a job, or delete its result.
 * @param {string} id */
export const drop = (id) => ask(`/v1/jobs/${encodeURIComponent(id)}`, { method: 'DELETE' });
