// On a phone the navigation is wider than the screen: the part that is open is brought into sight, sideways alone.
(() => {
  "use strict";
  const here = document.querySelector(".parts [aria-current]");
  if (!here) return;
  const parts = here.parentElement;
  const [outer, inner] = [parts.getBoundingClientRect(), here.getBoundingClientRect()];
  parts.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
})();
