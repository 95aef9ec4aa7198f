// Live quotes for the scripts of our pages: one connection, which comes back by itself.
// liveQuotes(codes, { quotes: ([quote…]) => …, state: ("live" | "lost") => … })
window.liveQuotes = (codes, told) => {
  "use strict";
  const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/quotes/feed`;
  let wait = 1000;
  const open = () => {
    const socket = new WebSocket(address);
    socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "subscribe", codes })));
    socket.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      if (message.type !== "snapshot" && message.type !== "quotes") return;
      wait = 1000;
      told.state("live");
      told.quotes(message.data);
    });
    socket.addEventListener("close", () => {
      told.state("lost");
      setTimeout(open, wait);
      wait = Math.min(wait * 2, 30000);
    });
  };
  open();
};
