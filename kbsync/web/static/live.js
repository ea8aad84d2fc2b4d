// Replaces the state on the overview every two seconds. The server sends nothing but escaped HTML of its own templates.
"use strict";
const live = document.getElementById("live");
const lost = document.getElementById("lost");
async function refresh() {
  let wait = 2000;
  if (!document.hidden) {
    try {
      const answer = await fetch(live.dataset.source, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      live.innerHTML = await answer.text();
      lost.hidden = true;
    } catch {
      lost.hidden = false;
      wait = 10000;
    }
  }
  setTimeout(refresh, wait);
}
setTimeout(refresh, 2000);
