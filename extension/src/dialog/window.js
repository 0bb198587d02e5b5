// Goes to the dialog in a window of its own: the browser lets only the extension's own pages go there.
location.replace(`dialog.html${location.hash}`);
