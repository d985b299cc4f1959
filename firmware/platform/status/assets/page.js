// Keeps an open page up to date: parts of it arrive as server-sent events, and the values
// of the plots from /history.json. Without it the page reloads itself.
'use strict';
(() => {
	const lostAfter = 5000; // ms without an event: an older number must not look new
	const retryAfter = 3000; // ms
	const away = document.getElementById('away');
	const icon = document.querySelector('link[rel=icon]');
	document.documentElement.classList.add('js');

	// morph makes the element old equal to the element now, and touches nothing that already is:
	// what has the focus, is selected or unfolded stays so.
	function morph(old, now) {
		if (old.isEqualNode(now)) return;
		if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName || old.id !== now.id) {
			old.replaceWith(now);
			return;
		}
		if (old.nodeType !== Node.ELEMENT_NODE) {
			old.data = now.data;
			return;
		}
		if (old.hasAttribute('data-keep')) return;
		for (const {name} of [...old.attributes]) {
			if (!now.hasAttribute(name) && name !== 'open') old.removeAttribute(name);
		}
		for (const {name, value} of now.attributes) {
			if (old.getAttribute(name) !== value) old.setAttribute(name, value);
		}
		const had = [...old.childNodes], has = [...now.childNodes];
		has.forEach((child, i) => had[i] ? morph(had[i], child) : old.append(child));
		had.slice(has.length).forEach(child => child.remove());
	}

	let last = Date.now(), asOf = '', source, title = document.title;

	function update(event) {
		const {title: newTitle, icon: newIcon, parts} = JSON.parse(event.data);
		for (const [id, html] of Object.entries(parts)) {
			const holder = document.createElement('template');
			holder.innerHTML = html;
			const old = document.getElementById(id);
			if (!old) return location.reload(); // another release of the board, with other parts
			morph(old, holder.content.firstElementChild);
		}
		title = newTitle;
		if (icon.getAttribute('href') !== newIcon) icon.setAttribute('href', newIcon);
		last = Date.now();
		asOf = document.querySelector('#top time').textContent;
		watch();
	}

	function connect() {
		if (source) source.close();
		source = new EventSource('/events?page');
		source.addEventListener('page', update);
		source.addEventListener('error', () => {
			if (source.readyState === EventSource.CLOSED) setTimeout(connect, retryAfter);
		});
	}

	// watch says when the connection is lost, as long as it is.
	function watch() {
		const silent = Date.now() - last;
		const lost = Math.abs(silent) > lostAfter;
		document.documentElement.classList.toggle('lost', lost);
		away.hidden = !lost;
		const shown = lost ? '? ' + title.replace(/^\S+ /, '') : title;
		if (document.title !== shown) document.title = shown;
		if (!lost) return;
		const text = 'No connection to the board since ' + asOf + ' UTC.';
		const sentence = away.querySelector('.sentence');
		if (sentence.textContent !== text) sentence.textContent = text;
		if (silent > 3 * lostAfter && source.readyState === EventSource.OPEN) connect(); // a path that died silently
	}

	asOf = document.querySelector('#top time').textContent;
	connect();
	setInterval(watch, 1000);
	for (const back of ['pageshow', 'visibilitychange', 'online', 'offline']) addEventListener(back, watch);
})();
