// Lists whose rows are replaced when something changes.

/** Put rows into a list.  If a button had the focus, the button now in its place gets it.
 * @param {HTMLElement} list
 * @param {HTMLElement[]} rows
 * @param {HTMLElement} otherwise gets the focus when no row is left */
export function putRows(list, rows, otherwise) {
  const buttons = () => [...list.querySelectorAll('button')];
  const place = buttons().findIndex((button) => button === document.activeElement);
  list.replaceChildren(...rows);
  if (place >= 0) (buttons()[place] ?? buttons().at(-1) ?? otherwise).focus();
}
