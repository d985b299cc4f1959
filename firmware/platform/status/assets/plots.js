// Draws the history of the link: /history.json with uPlot, and the same values as a table.
'use strict';
(() => {
	const box = document.getElementById('plots');
	if (!box) return;
	const plots = [
		{title: 'Frames', series: {frames: 'frames'}},
		{title: '', series: {repaired: 'repaired', lost: 'lost', damaged: 'damaged', dropped: 'dropped'}},
		{title: 'Latency', series: {latency_p50: 'p50', latency_p99: 'p99'}},
		{title: 'Temperature of this machine', series: {temperature: 'temperature'}},
	]; // without a title: the names of those series that the board has
	const place = box.querySelector('.plots'), table = box.querySelector('table');
	let drawn = [], history, timer;

	const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
	const span = () => box.querySelector('input:checked').value;
	const two = n => String(n).padStart(2, '0');

	function number(n, unit) {
		if (n == null) return '–';
		if (unit === 's') return n < 1 ? (n * 1000).toPrecision(3) + ' ms' : n.toPrecision(3) + ' s';
		if (unit !== '1/s') return n.toFixed(1) + ' ' + unit;
		const digits = n === 0 || n >= 100 ? 0 : n >= 1 ? 1 : 2;
		return n.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f') + '/s';
	}

	const day = t => t.getUTCDate() + ' ' + t.toLocaleString('en', {month: 'short', timeZone: 'UTC'});
	const clock = t => two(t.getUTCHours()) + ':' + two(t.getUTCMinutes());

	// moment is a time in UTC, with its day where the plots go over more than one.
	function moment(seconds) {
		const t = new Date(seconds * 1000);
		return history.step_seconds >= 60 ? day(t) + ' ' + clock(t) : clock(t) + ':' + two(t.getUTCSeconds());
	}

	// tick is what an axis says at a time: the day at midnight, else the time of day.
	function tick(seconds) {
		const t = new Date(seconds * 1000);
		return clock(t) === '00:00' ? day(t) : clock(t);
	}

	function axes(unit) {
		const common = {stroke: colour('--faint'), font: '11px system-ui, sans-serif',
			grid: {stroke: colour('--line'), width: 1}, ticks: {show: false}};
		return [
			{...common, size: 26, space: 70, values: (u, splits) => splits.map(tick)},
			{...common, size: 62, space: 32, values: (u, splits) => splits.map(s => number(s, unit))},
		];
	}

	function title(plot, series) {
		const text = plot.title || series.map(s => plot.series[s.name]).join(', ');
		return text[0].toUpperCase() + text.slice(1);
	}

	function line(name, i) {
		return {label: name, stroke: colour('--line-' + name.replace('_', '-')), width: 1.5, points: {show: false},
			fill: i === 0 && name === 'frames' ? colour('--fill-frames') : undefined};
	}

	// range of a vertical axis: what is counted begins at zero.
	function range(unit, low, high) {
		if (unit === '°C' && high != null) return [Math.floor(low / 5 - 1) * 5, Math.ceil(high / 5 + 1) * 5];
		return [0, high > 0 ? high * 1.1 : 1];
	}

	// draw makes one figure: its caption names each series with its value, the newest or that below the cursor.
	function draw(plot, times, series) {
		const figure = document.createElement('figure'), caption = document.createElement('figcaption');
		const canvas = document.createElement('div'), outputs = [];
		const head = document.createElement('div'), keys = document.createElement('div');
		head.append(Object.assign(document.createElement('b'), {textContent: title(plot, series)}));
		caption.append(head, keys);
		for (const s of series) {
			const key = Object.assign(document.createElement('span'), {className: 'key ' + s.name});
			const value = document.createElement('output');
			value.setAttribute('aria-live', 'off');
			key.append(series.length > 1 ? plot.series[s.name] + ' ' : '', value);
			keys.append(key);
			outputs.push(value);
		}
		const when = Object.assign(document.createElement('small'), {className: 'when'});
		head.append(when);
		figure.append(caption, canvas);
		place.append(figure);
		canvas.className = 'plot';
		canvas.setAttribute('role', 'img');
		const chart = new uPlot({
			width: canvas.clientWidth, height: 150, axes: axes(series[0].unit),
			series: [{}, ...series.map(s => line(s.name, series.indexOf(s)))],
			legend: {show: false}, padding: [8, 22, 0, 0],
			scales: {x: {time: true}, y: {range: (u, low, high) => range(series[0].unit, low, high)}},
			tzDate: seconds => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
			cursor: {sync: {key: 'plots'}, y: false, drag: {x: false, y: false}, points: {size: 6}},
			hooks: {setCursor: [show]},
		}, [times, ...series.map(s => s.values)], canvas);
		// u.data and not the values of the first drawing: they are replaced as time goes on
		function show(u) {
			const at = u.cursor.idx;
			outputs.forEach((o, i) => {
				const values = u.data[i + 1];
				o.textContent = number(at == null ? values.at(-1) ?? values.at(-2) : values[at], series[i].unit);
			});
			when.textContent = at == null ? '' : moment(u.data[0][at]) + ' UTC';
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
		d.canvas.setAttribute('aria-label', title(d.plot, series) + ' over ' + spanWords() + '. ' + words.join('; ') + '.');
	}

	const spanWords = () => box.querySelector('input:checked').parentElement.textContent.trim();

	function render() {
		const end = Date.parse(history.to) / 1000, n = Math.max(...history.series.map(s => s.values.length));
		const times = Array.from({length: n}, (_, i) => end - (n - 1 - i) * history.step_seconds);
		const groups = plots.map(plot => [plot, Object.keys(plot.series).map(name => history.series.find(s => s.name === name)).filter(s => s)])
			.filter(([, series]) => series.some(s => s.values.some(v => v != null)));
		if (drawn.map(d => d.names).join() !== groups.map(([, series]) => series.map(s => s.name)).join()) {
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
		const names = document.createElement('tr');
		names.append(cell('th', 'Until (UTC)', 'col'),
			...history.series.map(s => cell('th', s.name.replaceAll('_', ' '), 'col')));
		const body = [];
		for (let end = times.length; end > 0; end -= per) {
			const row = document.createElement('tr');
			row.append(cell('th', moment(times[end - 1]), 'row'));
			for (const s of history.series) {
				const known = s.values.slice(Math.max(end - per, 0), end).filter(v => v != null);
				row.append(cell('td', number(known.length ? known.reduce((a, b) => a + b) / known.length : null, s.unit)));
			}
			body.push(row);
		}
		const caption = document.createElement('caption');
		caption.textContent = 'Mean values over ' + spanWords() + ', newest first';
		const thead = document.createElement('thead'), tbody = document.createElement('tbody');
		thead.append(names);
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
