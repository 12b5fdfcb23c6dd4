# lastconn_embed(TARGET SYMBOL FILES...): puts text files into TARGET as
# const struct embedded_file SYMBOL[] (util/embedded.h), sorted as given, ended by a NULL name.
function(lastconn_embed target symbol)
	set(out ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
	add_custom_command(OUTPUT ${out}
		COMMAND ${CMAKE_COMMAND} -D OUT=${out} -D SYMBOL=${symbol} "-DFILES=${ARGN}"
			-P ${CMAKE_SOURCE_DIR}/cmake/EmbedFiles.cmake
		DEPENDS ${ARGN} ${CMAKE_SOURCE_DIR}/cmake/EmbedFiles.cmake VERBATIM)
	target_sources(${target} PRIVATE ${out})
endfunction()
