// The first page that is seen: start the server, pair, choose sites.  A step is ticked as soon as it is done.

import { say } from '../common/i18n.js';
import { stored } from '../common/storage.js';
import { sleep } from '../common/messages.js';
import { isAllowed } from '../common/access.js';
import { Connection } from '../common/connection.js';
import { $, keepShown, speak } from '../common/dom.js';
import { offerSites } from '../common/site-switches.js';

/** Milliseconds between two looks for a server that does not answer yet. */
const PAUSE = 2000;

speak();

/** @param {string} step
 * @param {boolean} done */
const tick = (step, done) => $(step).classList.toggle('done', done);

function showWhole() {
  const all = ['step-start', 'step-pair', 'step-sites'].every((step) => $(step).classList.contains('done'));
  $('all').textContent = all ? say('welcome_ready') : '';
}

const connection = new Connection((state) => {
  tick('step-start', ['ready', 'unpaired'].includes(state));
  tick('step-pair', state === 'ready');
  $('mend').hidden = !['down', 'barred'].includes(state);
  showWhole();
});

offerSites($('ready'), (is) => { $('sites-problem').textContent = is === 'refused' ? say('site_refused') : ''; });
keepShown(['sites'], async () => {
  const on = Object.entries(await stored('sites')).filter(([, rule]) => rule !== 'never');
  tick('step-sites', (await Promise.all(on.map(([host]) => isAllowed(host)))).some(Boolean));
  showWhole();
});

$('settings').addEventListener('click', () => chrome.runtime.openOptionsPage());

// Whoever starts the server in another window finds this page in the next step.
for (await connection.look(); ; await sleep(PAUSE)) {
  if (connection.state === 'down' && document.visibilityState === 'visible') await connection.look();
}
