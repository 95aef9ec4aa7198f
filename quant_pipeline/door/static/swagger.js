const place = document.getElementById("swagger");
SwaggerUIBundle({ url: place.dataset.text, domNode: place, deepLinking: true, persistAuthorization: true });
