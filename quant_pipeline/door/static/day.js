// A day that is chosen is gone to at once; without scripts Enter goes there.
(() => {
  const field = document.querySelector(".day-steps input[type=date]");
  field.addEventListener("change", () => field.form.submit());
})();
