"use strict";
(function () {
  var box = document.getElementById("filter"), input = document.getElementById("words"), told = document.getElementById("told");
  var all = Array.prototype.slice.call(document.querySelectorAll("[data-filter]"));
  var opened = [];
  box.hidden = false;
  function apply() {
    var words = input.value.toLowerCase().split(/\s+/).filter(Boolean), shown = 0;
    opened.forEach(function (one) { one.open = false; });
    opened = [];
    all.forEach(function (one) {
      var text = one.textContent.toLowerCase();
      var fits = words.every(function (word) { return text.indexOf(word) >= 0; });
      one.hidden = !fits;
      if (!fits) { return; }
      shown += 1;
      var room = one.closest("details.room");
      if (words.length && room && !room.open) { room.open = true; opened.push(room); }
    });
    told.textContent = words.length ? shown + " of " + all.length : "";
  }
  input.addEventListener("input", apply);
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details.change").forEach(function (one) { one.open = true; });
  });
})();
