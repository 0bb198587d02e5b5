// Requests to the server.  Only the background makes them: the server refuses requests of web pages.

/** @import {Enrolled, FoundFace, Health, Job, Looks} from '../common/types.js' */
/** @import {Options, ServerState, Status, Token} from '../common/types.js' */

import { TroubleError, troubleOf } from '../common/errors.js';
import { loopbackOrigin } from '../common/sites.js';
import { store, stored } from '../common/storage.js';

/** Milliseconds that an answer may take: without and with a photo. */
const SHORT = 8_000, LONG = 90_000;
const PROTOCOL = 1;

const DOWN = { code: 'down', title: 'The server does not answer' };
const SLOW = { code: 'timeout', title: 'The server did not answer in time' };
const OTHER = { code: 'other', title: 'Another program answers at the address of the server' };

/** The address of the server.  It must be on this machine, whatever the setting says.
 * @param {string} address
 * @returns {string} */
function loopback(address) {
  const origin = loopbackOrigin(address);
  if (origin) return origin;
  throw new TroubleError({ code: 'bad_address', title: 'The address of the server is not on this machine' });
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
  /** @type {RequestInit} */
  const strict = { credentials: 'omit', redirect: 'error', cache: 'no-store' };
  const response = await fetch(where, { ...options, ...strict, headers, signal })
    .catch(() => { throw new TroubleError(late.aborted ? SLOW : DOWN); });
  if (response.ok) return response;
  const trouble = await response.json().catch(() => OTHER);
  if (trouble.code === 'unpaired') await forget(server.token);
  const { code, title, detail } = trouble;
  throw new TroubleError({ code: String(code), title: String(title), detail });
}

/** Forget a token that was refused, unless a newer one has replaced it.
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

/** @returns {Promise<ServerState>} */
export async function status() {
  try {
    /** @type {Health} */
    const { name, protocol } = await json('/v1/health');
    if (name !== 'clip2protect' || protocol !== PROTOCOL) throw new TroubleError(OTHER);
    if (!(await stored('server')).token) return { state: 'unpaired', code: 'unpaired', detail: '' };
    /** @type {Status} */
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
  const headers = { 'Content-Type': 'application/json' };
  /** @type {Token} */
  const { token, client } = await json('/v1/pair', { method: 'POST', body, headers });
  await store('server', { ...(await stored('server')), token, client });
}

/** Forget the token here, and revoke it at the server. */
export async function unpair() {
  const { client, token } = await stored('server');
  if (client) await ask(`/v1/clients/${encodeURIComponent(client)}`, { method: 'DELETE' }).catch(() => {});
  await forget(token);
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

/** @param {string} id */
export const forgetOwner = (id) => ask(`/v1/owner/${encodeURIComponent(id)}`, { method: 'DELETE' });

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
