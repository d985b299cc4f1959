// Draws the history of the link: /history.json with uPlot, and the same values as a table.
'use strict';
(() => {
	const box = document.getElementById('plots');
	if (!box) return;
	const plots = [
		{title: 'Frames', series: {frames: 'frames'}},
		{title: 'Repaired, lost, damaged', series: {repaired: 'repaired', lost: 'lost', damaged: 'damaged', dropped: 'dropped'}},
		{title: 'Latency', series: {latency_p50: 'p50', latency_p99: 'p99'}},
	];
	const place = box.querySelector('.plots'), table = box.querySelector('table');
	const noMotion = matchMedia('(prefers-reduced-motion: reduce)');
	let drawn = [], history, timer;

	const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
	const span = () => box.querySelector('input:checked').value;
	const two = n => String(n).padStart(2, '0');

	function number(n, unit) {
		if (n == null) return '–';
		if (unit === 's') return n < 1 ? (n * 1000).toPrecision(3) + ' ms' : n.toPrecision(3) + ' s';
		const digits = n === 0 || n >= 100 ? 0 : n >= 1 ? 1 : 2;
		return n.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f') + '/s';
	}

	// moment is a time in UTC, as exact as a distance of step seconds on an axis needs it.
	function moment(seconds, step) {
		const t = new Date(seconds * 1000);
		const day = t.getUTCDate() + ' ' + t.toLocaleString('en', {month: 'short', timeZone: 'UTC'});
		const clock = two(t.getUTCHours()) + ':' + two(t.getUTCMinutes());
		if (step >= 86400) return day;
		if (step >= 7200) return day + ' ' + clock;
		return step < 60 ? clock + ':' + two(t.getUTCSeconds()) : clock;
	}

	function axes(unit, step) {
		const common = {stroke: colour('--faint'), font: '11px system-ui, sans-serif',
			grid: {stroke: colour('--line'), width: 1}, ticks: {show: false}};
		return [
			{...common, size: 26, space: 70, values: (u, splits, i, space, incr) => splits.map(s => moment(s, incr))},
			{...common, size: 62, space: 32, values: (u, splits) => splits.map(s => number(s, unit))},
		];
	}

	function line(name, i) {
		return {label: name, stroke: colour('--line-' + name.replace('_', '-')), width: 1.5, points: {show: false},
			fill: i === 0 && name === 'frames' ? colour('--fill-frames') : undefined};
	}

	// draw makes one figure: its caption names each series with its value, the newest or that below the cursor.
	function draw(plot, times, series) {
		const figure = document.createElement('figure'), caption = document.createElement('figcaption');
		const canvas = document.createElement('div'), outputs = [];
		const title = document.createElement('div'), keys = document.createElement('div');
		title.append(Object.assign(document.createElement('b'), {textContent: plot.title}));
		caption.append(title, keys);
		for (const s of series) {
			const key = Object.assign(document.createElement('span'), {className: 'key ' + s.name});
			const value = document.createElement('output');
			value.setAttribute('aria-live', 'off');
			key.append(series.length > 1 ? plot.series[s.name] + ' ' : '', value);
			keys.append(key);
			outputs.push(value);
		}
		const when = Object.assign(document.createElement('small'), {className: 'when'});
		title.append(when);
		figure.append(caption, canvas);
		place.append(figure);
		canvas.className = 'plot';
		canvas.setAttribute('role', 'img');
		const chart = new uPlot({
			width: canvas.clientWidth, height: 150, axes: axes(series[0].unit, history.step_seconds),
			series: [{}, ...series.map(s => line(s.name, series.indexOf(s)))],
			legend: {show: false}, padding: [8, 22, 0, 0],
			scales: {x: {time: true}, y: {range: (u, low, high) => [0, high > 0 ? high * 1.1 : 1]}},
			tzDate: seconds => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
			cursor: {sync: {key: 'plots'}, y: false, drag: {x: false, y: false}, points: {size: 6}},
			hooks: {setCursor: [show]},
		}, [times, ...series.map(s => s.values)], canvas);
		// u.data and not the values of the first drawing: they are replaced as time goes on
		function show(u) {
			const at = u.cursor.idx;
			outputs.forEach((o, i) => {
				const values = u.data[i + 1];
				o.textContent = number(at == null ? values[values.length - 1] : values[at], series[i].unit);
			});
			when.textContent = at == null ? '' : moment(u.data[0][at], history.step_seconds >= 3600 ? 7200 : 1) + ' UTC';
		}
		show(chart);
		return {plot, chart, canvas, show, names: series.map(s => s.name)};
	}

	function summarise(d, series) {
		const words = series.map(s => {
			const known = s.values.filter(v => v != null);
			if (!known.length) return s.name.replace('_', ' ') + ': no values';
			return s.name.replace('_', ' ') + ': newest ' + number(known[known.length - 1], s.unit) + ', highest ' +
				number(Math.max(...known), s.unit);
		});
		d.canvas.setAttribute('aria-label', d.plot.title + ' over ' + spanWords() + '. ' + words.join('; ') + '.');
	}

	const spanWords = () => box.querySelector('input:checked').parentElement.textContent.trim();

	function render() {
		const end = Date.parse(history.to) / 1000, n = Math.max(...history.series.map(s => s.values.length));
		const times = Array.from({length: n}, (_, i) => end - (n - 1 - i) * history.step_seconds);
		const groups = plots.map(plot => [plot, history.series.filter(s => s.name in plot.series)])
			.filter(([, series]) => series.length);
		if (drawn.length !== groups.length) {
			place.replaceChildren();
			drawn = [];
		}
		groups.forEach(([plot, series], i) => {
			if (!drawn[i]) drawn[i] = draw(plot, times, series);
			drawn[i].chart.setData([times, ...series.map(s => s.values)]);
			drawn[i].show(drawn[i].chart);
			summarise(drawn[i], series);
		});
		tabulate(times);
	}

	// tabulate shows the mean of about a dozen intervals.
	function tabulate(times) {
		const rows = 12, per = Math.ceil(times.length / rows);
		const cell = (tag, text, scope) => {
			const c = Object.assign(document.createElement(tag), {textContent: text});
			if (scope) c.scope = scope; else c.className = 'n';
			return c;
		};
		const head = document.createElement('tr');
		head.append(cell('th', 'Until (UTC)', 'col'),
			...history.series.map(s => cell('th', s.name.replaceAll('_', ' '), 'col')));
		const body = [];
		for (let end = times.length; end > 0; end -= per) {
			const row = document.createElement('tr');
			row.append(cell('th', moment(times[end - 1], history.step_seconds >= 3600 ? 7200 : 1), 'row'));
			for (const s of history.series) {
				const known = s.values.slice(Math.max(end - per, 0), end).filter(v => v != null);
				row.append(cell('td', number(known.length ? known.reduce((a, b) => a + b) / known.length : null, s.unit)));
			}
			body.push(row);
		}
		const caption = document.createElement('caption');
		caption.textContent = 'Mean values over ' + spanWords() + ', newest first';
		const thead = document.createElement('thead'), tbody = document.createElement('tbody');
		thead.append(head);
		tbody.append(...body);
		table.replaceChildren(caption, thead, tbody);
	}

	async function load() {
		clearTimeout(timer);
		try {
			const answer = await fetch('/history.json?span=' + span());
			if (answer.ok) {
				history = await answer.json();
				box.hidden = !history.series.length;
				if (!box.hidden) render();
			}
		} catch { /* the page says when the connection is lost */ }
		timer = setTimeout(load, Math.min(Math.max(history ? history.step_seconds : 0, 5), 60) * 1000);
	}

	function redraw() {
		if (!history) return;
		drawn.forEach(d => d.chart.destroy());
		drawn = [];
		place.replaceChildren();
		render();
	}

	box.addEventListener('change', load);
	matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
	new ResizeObserver(() => drawn.forEach(d => d.chart.setSize({width: d.canvas.clientWidth, height: 150})))
		.observe(place);
	load();
})();
