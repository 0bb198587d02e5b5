// Pairing this browser, the list of paired clients, and unpairing.

import { $, attempt, day, entry, make } from './parts.js';
import { ask, forget, read } from './server.js';

export function askForCode(why = '') {
  $('#work').hidden = $('#places').hidden = true;
  $('#pairing').hidden = false;
  $('#pairing-problem').textContent = why;
  $('#code').focus();
}

addEventListener('unpaired', ({ detail }) => askForCode(detail));

async function showClients() {
  const { clients, you } = await read('json', '/v1/clients');
  $('#clients').replaceChildren(...clients.map((client) => row(client, client.id === you)));
}

function row({ id, name, origin, paired, used }, own) {
  const title = (name || 'No name') + (own ? ' (this browser)' : '');
  const from = origin ? `${origin}, ` : '';
  const ariaLabel = `Revoke ${title}, paired ${day(paired)}`;
  const revoke = make('button', { type: 'button', textContent: 'Revoke', ariaLabel });
  revoke.addEventListener('click', () => attempt('#clients-problem', async () => {
    await ask(`/v1/clients/${id}`, { method: 'DELETE' });
    if (own) return leave();
    await showClients();
    $('#paired summary').focus();
  }));
  return entry(title, `${from}paired ${day(paired)}, last used ${day(used)}`, revoke);
}

/** This browser is no longer paired: every part hears `left` and clears itself, so that the next user sees
 * nothing. */
function leave() {
  forget();
  dispatchEvent(new Event('left'));
  $('#paired').open = false;
  askForCode();
}

$('#paired').addEventListener('toggle', () => $('#paired').open && attempt('#clients-problem', showClients));
$('#unpair').addEventListener('click', () => attempt('#clients-problem', async () => {
  const { you } = await read('json', '/v1/clients');
  await ask(`/v1/clients/${you}`, { method: 'DELETE' });
  leave();
}));
