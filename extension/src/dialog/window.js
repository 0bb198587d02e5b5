// The dialog in a window of its own: the browser opens it for the extension's own pages only, so one of them goes there.
location.replace(`dialog.html${location.hash}`);
