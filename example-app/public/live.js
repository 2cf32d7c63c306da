// Replaces the figures whenever the server sends new ones. They are numbers and names of counters, no text of users.
const main = document.querySelector('main');
const source = new EventSource('/live');
source.addEventListener('message', (event) => {
  main.innerHTML = event.data;
  main.classList.remove('stale');
});
source.addEventListener('error', () => main.classList.add('stale'));
