import type { CounterFigures, Figures, RowFigures } from './figures';

/** The page as it is when it is asked for; afterwards `live.js` replaces what is in <main>. */
export function renderPage(figures: Figures): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Counters, live</title>
<link rel="stylesheet" href="/style.css">
<script src="/live.js" defer></script>
</head>
<body>
<header>
<h1>Counters, live</h1>
<p>The rows with the largest counters. <b>Column</b> is what the parent row says, <b>pending</b> what the worker has yet
to apply, <b>true</b> a <code>COUNT</code> or <code>SUM</code> over the children. While rows are being written the three are read
milliseconds apart; when nothing is pending, column and true are equal.</p>
</header>
<main>${renderFigures(figures)}</main>
</body>
</html>`;
}

/** What is in <main>. */
export function renderFigures({ counters, status }: Figures): string {
  const due = status.oldestDue === null ? '–' : `${((status.oldestDue - Date.now()) / 1_000).toFixed(1)} s`;
  const facts = [
    ['dirty targets', status.dirty],
    ['oldest due in', due],
    ['claimed batches', status.batches],
    ['open intents', status.intents],
    ['recalculations waiting', status.recalculations],
    ['failed targets', status.failed.length],
  ].map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`);
  const head = ['Counter', 'Row', 'Column', 'Pending', 'True'].map((name) => `<th scope="col">${name}</th>`);
  return `<dl>${facts.join('')}</dl><table><thead><tr>${head.join('')}</tr></thead>${counters.map(renderCounter).join('')}</table>`;
}

function renderCounter({ label, rows, columnTotal, truthTotal }: CounterFigures): string {
  const name = `<th scope="rowgroup" rowspan="${rows.length + 1}">${label}</th>`;
  const total = `<tr class="total">${name}<td>all</td><td>${columnTotal}</td><td></td><td>${truthTotal}</td></tr>`;
  return `<tbody>${total}${rows.map((row) => `<tr><td>${row.id}</td>${cells(row)}</tr>`).join('')}</tbody>`;
}

function cells({ column, pending, truth }: Omit<RowFigures, 'id'>): string {
  const sign = pending > 0 ? '+' : '';
  const state = pending === 0 ? (column === truth ? 'right' : 'wrong') : 'pending';
  return `<td>${column}</td><td class="${state}">${sign}${pending}</td><td>${truth}</td>`;
}
