// The first page: start the server, pair, choose sites.  Each step is ticked as soon as it is done.

import { isAllowed } from '../common/access.js';
import { Connection } from '../common/connection.js';
import { $, keepShown, translatePage } from '../common/dom.js';
import { say } from '../common/i18n.js';
import { sleep } from '../common/messages.js';
import { offerSites } from '../common/site-switches.js';
import { stored } from '../common/storage.js';

/** Milliseconds between two tries while the server does not answer. */
const PAUSE = 2000;

translatePage();

/** @param {string} step
 * @param {boolean} done */
const tick = (step, done) => $(step).classList.toggle('done', done);

function showEnd() {
  const all = ['step-start', 'step-pair', 'step-sites'].every((step) => $(step).classList.contains('done'));
  $('all').textContent = all ? say('welcome_ready') : '';
}

const connection = new Connection((state) => {
  tick('step-start', ['ready', 'unpaired'].includes(state));
  tick('step-pair', state === 'ready');
  $('mend').hidden = !['down', 'barred'].includes(state);
  showEnd();
});

offerSites($('ready'), (state) => {
  $('sites-problem').textContent = state === 'refused' ? say('site_refused') : '';
});
keepShown(['sites'], async () => {
  const on = Object.entries(await stored('sites')).filter(([, rule]) => rule !== 'never');
  tick('step-sites', (await Promise.all(on.map(([host]) => isAllowed(host)))).some(Boolean));
  showEnd();
});

$('settings').addEventListener('click', () => chrome.runtime.openOptionsPage());

// When the server is started in another window, this page goes on by itself.
for (await connection.look(); ; await sleep(PAUSE)) {
  if (connection.state === 'down' && document.visibilityState === 'visible') await connection.look();
}
