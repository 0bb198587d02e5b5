// The well-known sites, one switch each.

import { forget, isAllowed, setRule } from './access.js';
import { keepShown, make } from './dom.js';
import { SITES } from './sites.js';
import { stored } from './storage.js';

/** Fill a list with the switches.
 * @param {HTMLElement} list
 * @param {(state: 'on' | 'off' | 'refused', name: string) => void} [onChange] */
export function offerSites(list, onChange = () => {}) {
  const switches = Object.entries(SITES).map(([name, hosts]) => {
    const button = make('button', { type: 'button', textContent: name, title: hosts.join(', ') });
    button.addEventListener('click', async () => {
      const off = button.ariaPressed === 'true';
      const done = off ? await forget(hosts).then(() => true) : await setRule(hosts, 'ask');
      onChange(off ? 'off' : done ? 'on' : 'refused', name);
    });
    return { button, hosts };
  });
  list.replaceChildren(...switches.map(({ button }) => make('li', {}, button)));
  keepShown(['sites'], async () => {
    const sites = await stored('sites');
    for (const { button, hosts } of switches) {
      const on = hosts.every((host) => (sites[host] ?? 'never') !== 'never');
      button.ariaPressed = String(on && (await Promise.all(hosts.map(isAllowed))).every(Boolean));
    }
  });
}
