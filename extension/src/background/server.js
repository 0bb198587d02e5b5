// The one place that talks to the server.  Only the background uses it: a page's requests would not get there.

/** @import {Face, Status} from '../common/types.js' */

import { stored, store } from '../common/storage.js';
import { TroubleError, troubleOf } from '../common/errors.js';

/** Milliseconds that an answer may take: a word, a photo on its way. */
const SHORT = 8_000, LONG = 90_000;
const PROTOCOL = 1;

const DOWN = { code: 'down', title: 'The server does not answer' };
const SLOW = { code: 'timeout', title: 'The server did not answer in time' };
const OTHER = { code: 'other', title: 'Another program answers at the address of the server' };

/** An address that we may ask: this machine, whatever the setting says.
 * @param {string} address
 * @returns {string} */
function loopback(address) {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol !== 'http:' || !['127.0.0.1', 'localhost'].includes(url.hostname)) {
    throw new TroubleError({ code: 'bad_address', title: 'The address of the server is not on this machine' });
  }
  return url.origin;
}

/** @param {string} path
 * @param {RequestInit & {limit?: number}} [options]
 * @returns {Promise<Response>} */
async function ask(path, { limit = SHORT, ...options } = {}) {
  const server = await stored('server');
  const headers = new Headers(options.headers);
  headers.set('X-Clip2Protect', '1');
  if (server.token) headers.set('Authorization', `Bearer ${server.token}`);
  const late = AbortSignal.timeout(limit);
  const signal = options.signal ? AbortSignal.any([late, options.signal]) : late;
  const where = loopback(server.address) + path;
  const response = await fetch(where, { ...options, headers, signal, credentials: 'omit', redirect: 'error', cache: 'no-store' })
    .catch(() => { throw new TroubleError(late.aborted ? SLOW : DOWN); });
  if (response.ok) return response;
  const trouble = await response.json().catch(() => OTHER);
  if (trouble.code === 'unpaired') await forget(server.token);
  throw new TroubleError({ code: String(trouble.code), title: String(trouble.title), detail: trouble.detail });
}

/** Forget a token that was refused, unless there is a newer one.
 * @param {string} token */
async function forget(token) {
  const server = await stored('server');
  if (server.token === token) await store('server', { ...server, token: '', client: '' });
}

/** @param {string} path
 * @param {RequestInit & {limit?: number}} [options]
 * @returns {Promise<any>} */
async function json(path, options) {
  const response = await ask(path, options);
  return response.json().catch(() => { throw new TroubleError(response.bodyUsed ? OTHER : DOWN); });
}

/** @returns {Promise<Status>} */
export async function status() {
  try {
    const { name, protocol } = await json('/v1/health');
    if (name !== 'clip2protect' || protocol !== PROTOCOL) throw new TroubleError(OTHER);
    if (!(await stored('server')).token) return { state: 'unpaired', code: 'unpaired', detail: '' };
    const { trouble } = await json('/v1/status');
    return { state: 'ready', code: trouble ? 'ailing' : 'ready', detail: trouble };
  } catch (error) {
    const { code, title } = troubleOf(error);
    return { state: ['unpaired', 'wrong_origin'].includes(code) ? 'unpaired' : 'down', code, detail: title };
  }
}

/** @param {string} code */
export async function pair(code) {
  const body = JSON.stringify({ code, name: 'Browser extension' });
  const { token, client } = await json('/v1/pair', { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
  await store('server', { ...(await stored('server')), token, client });
}

/** Forget the server, and have it forget us. */
export async function unpair() {
  const { client, token } = await stored('server');
  if (client) await ask(`/v1/clients/${encodeURIComponent(client)}`, { method: 'DELETE' }).catch(() => {});
  await forget(token);
}

/** The looks and levels that there are, and by how many photos the owner is known. */
export async function looks() {
  const [prompts, levels, { photos }] = await Promise.all([
    json('/v1/prompts'), json('/v1/levels'), json('/v1/owner').catch(() => ({ photos: [] })), // the settings say what ails it
  ]);
  return { prompts, levels, enrolled: photos.length };
}

/** The photos by which the owner is known: their numbers, and the seconds since 1970 when they were added.
 * @returns {Promise<{id: string, added: number}[]>} */
export const owner = async () => (await json('/v1/owner')).photos;

/** Have the server learn the owner's face from a photo, which it does not keep.
 * @param {Blob} photo
 * @param {string} kind */
export const enrol = (photo, kind) => post('/v1/owner', photo, kind);

/** @param {string} id */
export const forgetOwner = (id) => ask(`/v1/owner/${encodeURIComponent(id)}`, { method: 'DELETE' });

/** The faces of a photo, the largest first.
 * @param {Blob} photo
 * @param {string} kind
 * @param {AbortSignal} signal
 * @returns {Promise<Face[]>} */
export const faces = async (photo, kind, signal) => (await post('/v1/faces', photo, kind, signal)).faces;

/** Send a photo.
 * @param {Blob} photo
 * @param {string} kind
 * @param {Record<string, string>} options
 * @returns {Promise<string>} the job's number */
export async function submit(photo, kind, options) {
  return (await post(`/v1/jobs?${new URLSearchParams(options)}`, photo, kind)).id;
}

/** @param {string} path
 * @param {Blob} photo
 * @param {string} kind
 * @param {AbortSignal} [signal] */
function post(path, photo, kind, signal) {
  return json(path, { method: 'POST', body: photo, headers: { 'Content-Type': kind }, limit: LONG, signal });
}

/** @param {string} id */
export const job = (id) => json(`/v1/jobs/${encodeURIComponent(id)}`);

/** The protected photo.
 * @param {string} id
 * @returns {Promise<Blob>} */
export async function result(id) {
  const response = await ask(`/v1/jobs/${encodeURIComponent(id)}/result`, { limit: LONG });
  return response.blob().catch(() => { throw new TroubleError(DOWN); });
}

/** Cancel a job, or have its result dropped.
 * @param {string} id */
export const drop = (id) => ask(`/v1/jobs/${encodeURIComponent(id)}`, { method: 'DELETE' });
