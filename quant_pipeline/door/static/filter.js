// The data dictionary's filter: entries that hold every word stay. Without scripts the page is whole.
(() => {
  const field = document.getElementById("filter");
  const entries = [...document.querySelectorAll(".entry")].map((entry) => [entry, entry.textContent.toLowerCase()]);
  const narrow = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [entry, text] of entries) {
      const fits = words.every((word) => text.includes(word));
      entry.hidden = !fits;
      document.querySelector(`.index [data-of="${entry.id}"]`).hidden = !fits;
      shown += fits;
    }
    document.getElementById("none").hidden = shown > 0;
  };
  field.addEventListener("input", narrow);
  narrow();
})();
