document.getElementById('one').addEventListener('change', (event) => send(event.target.files));
document.getElementById('button').addEventListener('click', () => {
  const input = document.createElement('input');
  input.type = 'file';
  input.addEventListener('change', () => send(input.files));
  input.click();
});
